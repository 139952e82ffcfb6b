// An episode's text: prose as prose, output as output, a diff with its colours.
import { h, plain } from "../dom.js";

const PROSE = new Set(["prompt", "message", "note", "summary", "success"]);
/** Lines of a diff that get a colour; a longer one is shown plain. */
const MOST_LINES = 3000;

export function body(kind, text) {
  const said = plain(text);
  if (!said.trim()) return h("p", { class: "quiet" }, "(empty)");
  if (PROSE.has(kind)) return h("div", { class: "body body-prose", dir: "auto" }, said);
  const lines = said.split("\n");
  const isDiff = lines.some((line) => line.startsWith("@@ ")) || kind === "file_edit";
  if (!isDiff || lines.length > MOST_LINES) return h("pre", { class: "body", tabindex: "0" }, said);
  return h("pre", { class: "body", tabindex: "0" }, lines.map((line) => h("span", { class: lineClass(line) }, `${line}\n`)));
}

function lineClass(line) {
  if (/^(\+\+\+|---|Index: |={4,}|\\ No newline)/.test(line)) return "line line-frame";
  if (line.startsWith("@@")) return "line line-place";
  if (line.startsWith("+")) return "line line-added";
  if (line.startsWith("-")) return "line line-removed";
  return "line";
}
