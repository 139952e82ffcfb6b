// What a row says of an episode: a headline, and one line of what came of it.
import { plain } from "../dom.js";

/** Characters of a text that are looked at for its row. */
const LOOKED_AT = 2000;
const LONGEST = 320;
const FRAME = /^(Index: |={4,}|--- |\+\+\+ |@@ |\\ No newline|… \d+ characters left out)/;

/** Asked for again and again while a list is laid out. */
const known = new WeakMap();

/** `{ headline, rest }` of an episode; an episode never changes, it is replaced. */
export function openingOf(episode) {
  if (!known.has(episode)) known.set(episode, opening(episode.kind, String(episode.text ?? "")));
  return known.get(episode);
}

export function opening(kind, text) {
  const lines = plain(text.slice(0, LOOKED_AT)).split("\n");
  const said = lines.map((line) => line.trim()).filter((line) => line && !FRAME.test(line));
  if (!said.length) return { headline: "(empty)", rest: "" };
  if (kind === "file_edit") return { headline: cut(said[0]), rest: cut(changes(lines)) };
  if (kind === "command" || kind === "error" || kind === "tool") {
    return { headline: cut(said[0]), rest: cut(result(said.slice(1))) };
  }
  return { headline: cut(said.join("  ")), rest: "" };
}

/** The first lines that an edit adds, or else the first that it takes away. */
function changes(lines) {
  const marked = lines.filter((line) => /^[+-]/.test(line) && !FRAME.test(line) && line.slice(1).trim());
  const added = marked.filter((line) => line.startsWith("+"));
  return (added.length ? added : marked)
    .slice(0, 4)
    .map((line) => line.slice(1).trim())
    .join("  ");
}

/** The last line of an output says how it ended. */
function result(lines) {
  const ending = lines.at(-1) ?? "";
  return /^\(exit status/.test(ending) && lines.length > 1 ? `${lines.at(-2)}  ${ending}` : ending;
}

const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);
