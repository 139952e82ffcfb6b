// The types in the picture: what their colours mean, and switches to leave some out.
import { h, show } from "../dom.js";
import { count } from "../words.js";
import { typeClass } from "./palette.js";

/** `hidden` is the set of types left out; `changed` is called when it has changed. */
export function legend(place, nodes, hidden, changed) {
  const types = new Map();
  for (const node of nodes) types.set(node.type, (types.get(node.type) ?? 0) + 1);
  const rows = [...types].sort((a, b) => b[1] - a[1]);
  show(
    place,
    rows.map(([type, number]) => {
      const item = h(
        "button",
        { type: "button", class: `legend-item ${typeClass(type)}`, "aria-pressed": String(!hidden.has(type)), title: "Show or leave out" },
        h("span", { class: "type-dot", "aria-hidden": "true" }),
        type,
        h("span", { class: "quiet" }, count(number)),
      );
      item.addEventListener("click", () => {
        if (!hidden.delete(type)) hidden.add(type);
        changed();
      });
      return item;
    }),
    h("span", { class: "legend-note" }, "dashed: no longer true"),
  );
}
