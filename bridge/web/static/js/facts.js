// A fact as a sentence, with the time in which it is true.
import { h } from "./dom.js";
import { moment, seconds } from "./time.js";

export const isClosed = (fact) => fact.invalid_at !== null && fact.invalid_at !== undefined;

export function factLine(fact) {
  return h(
    "span",
    { class: isClosed(fact) ? "fact is-closed" : "fact" },
    h("span", { class: "fact-text", dir: "auto" }, fact.text),
    h("span", { class: "fact-when" }, span(fact)),
  );
}

function span(fact) {
  const since = moment(seconds(fact.valid_at));
  if (!isClosed(fact)) return `since ${since}`;
  const until = moment(seconds(fact.invalid_at));
  return since === until ? `for a moment, ${since}` : `${since} – ${until}`;
}

export const relationWord = (relation) => String(relation).toLowerCase().replaceAll("_", " ");
