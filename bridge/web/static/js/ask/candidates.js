// What was considered for an answer: how it scored in each channel, and whether it got in.
import { h } from "../dom.js";
import { link } from "../router.js";
import { seconds, timeOf } from "../time.js";
import { kindClass, kindWord } from "../words.js";

const CHANNELS = new Map([
  ["text", "words"],
  ["vector", "meaning"],
  ["near", "nearness"],
  ["path", "path"],
  ["time", "time"],
  ["recency", "recency"],
]);

export class Candidates {
  #rows;
  #at = -1;

  constructor(hits) {
    const channels = [...new Set(hits.flatMap((hit) => Object.keys(hit.scores ?? {})))];
    // One scale for all: what the channels bring adds up to the score, before age takes its part.
    const most = Math.max(...hits.flatMap((hit) => [hit.score, ...Object.values(hit.scores ?? {})]).map((value) => Math.abs(value) || 0), 0);
    this.#rows = hits.map((hit) => row(hit, channels, most));
    this.element = h("ol", { class: "candidates" }, this.#rows);
  }

  key(doing) {
    if (doing === "next" || doing === "previous") {
      this.#at = Math.min(this.#rows.length - 1, Math.max(0, this.#at + (doing === "next" ? 1 : -1)));
      this.#rows[this.#at]?.focus();
      return true;
    }
    if (doing !== "open") return false;
    const details = document.activeElement?.querySelector?.("details");
    if (details) details.open = !details.open;
    return Boolean(details);
  }
}

function row(hit, channels, most) {
  const included = Boolean(hit.included);
  const long = hit.text.length > 260 || hit.text.includes("\n");
  return h(
    "li",
    { class: `candidate ${included ? "is-in" : "is-out"}`, tabindex: "-1" },
    h(
      "div",
      { class: "candidate-head" },
      h("span", { class: `episode-kind ${kindClass(hit.kind)}` }, hit.kind === "fact" ? "fact" : kindWord(hit.kind)),
      timeOf(seconds(hit.time)),
      hit.invalid_at !== null && hit.invalid_at !== undefined && h("span", { class: "quiet" }, "until ", timeOf(seconds(hit.invalid_at))),
      h("span", { class: "candidate-fate" }, included ? "included" : "left out"),
    ),
    h("p", { class: "candidate-text", dir: "auto" }, hit.text.slice(0, 260) + (hit.text.length > 260 ? "…" : "")),
    h(
      "div",
      { class: "candidate-why" },
      h("div", { class: "scores" }, bar("score", hit.score, most), channels.map((name) => bar(CHANNELS.get(name) ?? name, hit.scores?.[name], most))),
      h(
        "div",
        { class: "candidate-notes" },
        hit.why && h("p", { class: "why" }, hit.why),
        hit.paths?.length > 0 && h("p", { class: "candidate-paths" }, hit.paths.slice(0, 6).map((path) => h("a", { href: link("timeline", { path }) }, path))),
        hit.source && h("p", { class: "quiet" }, hit.kind === "fact" ? `relation ${hit.source}` : `from ${hit.source}`, hit.session && [", session ", h("a", { href: link("timeline", { session: hit.session }) }, hit.session)]),
      ),
    ),
    long && h("details", {}, h("summary", {}, "Whole text"), h("pre", { class: "body" }, hit.text)),
  );
}

/** A small bar and its number; a channel that said nothing stays empty. */
function bar(name, value, most) {
  const known = Number.isFinite(value);
  const fill = h("span", { class: "bar-fill" });
  if (known) fill.style.inlineSize = `${Math.round(Math.min(1, Math.abs(value) / (most || 1)) * 100)}%`;
  return h(
    "div",
    { class: name === "score" ? "score score-total" : "score" },
    h("span", { class: "score-name" }, name),
    h("span", { class: "score-bar", "aria-hidden": "true" }, fill),
    h("span", { class: "score-value" }, known ? value.toFixed(2) : "–"),
  );
}
