// The overlay with the keys.
import { button, h, show } from "./dom.js";

const KEYS = [
  ["Go to", [["g t", "timeline"], ["g q", "ask a question"], ["g g", "graph"], ["g i", "injections"], ["g d", "diagnostics"]]],
  ["In a view", [["/", "search"], ["j  k", "down, up"], ["Enter", "open"], ["Esc", "close"], ["?", "these keys"]]],
];

let dialog = null;

export function toggleHelp() {
  if (dialog?.open) dialog.close();
  else dialog?.showModal();
}

export function watchHelp(element, opener) {
  dialog = element;
  show(
    dialog,
    h("header", {}, h("h2", { id: "help-title" }, "Keys"), button("Close", toggleHelp, { class: "quiet-button" })),
    h("div", { class: "help-columns" }, KEYS.map(([title, rows]) => column(title, rows))),
    h(
      "p",
      { class: "quiet" },
      "A ring ",
      h("span", { class: "pending-ring", "aria-hidden": "true" }),
      " marks what is safe in the spool and not yet in the graph.",
    ),
  );
  opener.addEventListener("click", toggleHelp);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

function column(title, rows) {
  return h(
    "section",
    {},
    h("h3", {}, title),
    h(
      "dl",
      {},
      rows.map(([keys, what]) => [
        h("dt", {}, keys.split(" ").filter(Boolean).map((key) => h("kbd", {}, key))),
        h("dd", {}, what),
      ]),
    ),
  );
}
