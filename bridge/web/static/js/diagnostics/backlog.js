// What waits in the spool, by session, and the buttons that move it.
import { button, h, plain } from "../dom.js";
import { link } from "../router.js";
import { lasting, timeOf } from "../time.js";
import { BATCH_STATES, count } from "../words.js";

const STUCK = ["error", "gave_up"];

export const stuckOf = (batches) => STUCK.reduce((sum, state) => sum + (batches?.[state] ?? 0), 0);

/** The totals of all batches by state. */
export function batchStates(batches) {
  const known = [...BATCH_STATES.keys()].map((state) => [state, batches?.[state] ?? 0]);
  return h(
    "ul",
    { class: "states" },
    known.map(([state, number]) =>
      h(
        "li",
        { class: "state", data: { state, none: String(number === 0) }, title: BATCH_STATES.get(state) },
        h("strong", {}, count(number)),
        h("span", {}, state.replace("_", " ")),
      ),
    ),
  );
}

/** Sessions with something waiting or failed first, as the API orders them. */
export function backlogTable(status, { retry, flush, projectName }) {
  const rows = status.sessions ?? [];
  if (!rows.length) return h("p", { class: "quiet" }, "No session has left anything in the spool.");
  return [
    h(
      "div",
      { class: "table-place", tabindex: "0", role: "region", "aria-label": "Sessions in the spool" },
      h(
        "table",
        { class: "table backlog" },
        h("thead", {}, h("tr", {}, ["Session", "Pending", "Oldest", "Batches", "What is wrong", ""].map((word) => h("th", { scope: "col" }, word)))),
        h("tbody", {}, rows.map((row) => sessionRow(row, { retry, flush, projectName }))),
      ),
    ),
    status.more > 0 && h("p", { class: "quiet" }, `and ${count(status.more)} more sessions`),
  ];
}

function sessionRow(row, { retry, flush, projectName }) {
  const stuck = stuckOf(row.batches) > 0;
  const wrong = row.error
    ? [h("span", { class: "wrong-text", dir: "auto" }, row.error), h("span", { class: "quiet" }, attempts(row))]
    : h("span", { class: "none" }, "–");
  return h(
    "tr",
    { class: stuck ? "is-stuck" : "" },
    h(
      "th",
      { scope: "row" },
      h("a", { href: link("timeline", { group: row.group, session: row.session }), title: plain(row.session) }, row.title || row.session),
      h("span", { class: "quiet" }, row.project || projectName(row.group)),
    ),
    h("td", { class: "number", data: { label: "pending" } }, count(row.pending)),
    h("td", { class: "oldest", data: row.pending ? { label: "oldest" } : {} }, row.pending ? lasting(row.oldest_age_s) : "–"),
    h("td", {}, batchWords(row.batches)),
    h("td", { class: "wrong" }, wrong),
    h(
      "td",
      { class: "row-actions" },
      stuck && button("Retry", (event) => retry(row.session, event.target), { class: "quiet-button" }),
      row.pending > 0 && !stuck && button("Flush", (event) => flush(row.session, event.target), { class: "quiet-button" }),
    ),
  );
}

function attempts(row) {
  const tried = row.attempts ? `tried ${row.attempts === 1 ? "once" : `${count(row.attempts)} times`}` : "";
  if (!row.retry_at) return tried;
  const due = row.retry_at > Date.now() / 1000 ? ["next try in ", lasting(row.retry_at - Date.now() / 1000)] : ["due ", timeOf(row.retry_at)];
  return [tried, tried && ", ", due];
}

function batchWords(batches) {
  const known = Object.entries(batches ?? {}).filter(([, number]) => number > 0);
  if (!known.length) return "–";
  return h(
    "span",
    { class: "batch-words" },
    known.map(([state, number]) => h("span", { class: "batch-word", data: { state }, title: BATCH_STATES.get(state) ?? "" }, `${state.replace("_", " ")} ${count(number)}`)),
  );
}
