// One episode, and one day's heading, as rows of the list.
import { h, plain } from "../dom.js";
import { timeOf } from "../time.js";
import { baseName, kindClass, kindWord } from "../words.js";
import { openingOf } from "./opening.js";

const DAY_HEIGHT = 42;
const LINE = 21;
const REST_LINE = 19;
const META_LINE = 20;
const PADDING = 21;
const NARROW = 560;
/** What a row's other columns and its padding take of the width. */
const NARROW_REST = 34;
const WIDE_REST = 230;
/** The two faces of a headline, read from the page as soon as there is one to read from. */
const fonts = { prose: "15px sans-serif", fixed: "13px monospace" };
const pen = document.createElement("canvas").getContext("2d");
/** How wide each headline is; asked for again and again while a list is laid out. */
const widths = new WeakMap();

export const isDay = (row) => row.day !== undefined;
export const keyOf = (row) => (isDay(row) ? `day-${row.day}` : row.uuid);

export function readFonts(place) {
  for (const [face, className] of [["prose", "episode-text"], ["fixed", "episode-text is-fixed"]]) {
    const probe = h("span", { class: className });
    place.append(probe);
    fonts[face] = getComputedStyle(probe).font || fonts[face];
    probe.remove();
  }
}

function widthOf(row, headline) {
  if (!widths.has(row)) {
    pen.font = isFixed(row) ? fonts.fixed : fonts.prose;
    widths.set(row, pen.measureText(headline).width);
  }
  return widths.get(row);
}

/** Rows say their height before they exist, and keep to it. */
export function heightOf(row, width) {
  if (isDay(row)) return DAY_HEIGHT;
  const below = (openingOf(row).rest ? REST_LINE : 0) + (width < NARROW ? META_LINE : 0);
  return PADDING + LINE * linesOf(row, width) + below;
}

const isFixed = (row) => ["command", "error", "file_edit", "tool"].includes(row.kind);

/** Prose takes a second line when one would not do; what is followed by its outcome has one. */
function linesOf(row, width) {
  const { headline, rest } = openingOf(row);
  if (rest) return 1;
  return widthOf(row, headline) > width - (width < NARROW ? NARROW_REST : WIDE_REST) ? 2 : 1;
}

export function buildRow(row, width) {
  return isDay(row) ? dayRow(row) : episodeRow(row, width);
}

function dayRow(row) {
  return h("div", { class: "day" }, h("span", {}, row.label));
}

function episodeRow(row, width) {
  const { headline, rest } = openingOf(row);
  return h(
    "div",
    { class: `episode ${kindClass(row.kind)}`, data: { lines: String(linesOf(row, width)), uuid: row.uuid } },
    h("span", { class: "episode-time" }, timeOf(row.at, "brief")),
    h("span", { class: "episode-kind" }, kindWord(row.kind)),
    h("span", { class: isFixed(row) ? "episode-text is-fixed" : "episode-text", dir: "auto" }, headline),
    rest && h("span", { class: "episode-rest", dir: "auto" }, rest),
    width < NARROW && h("span", { class: "episode-paths" }, otherPath(row, headline)),
    pendingMark(row.pending),
  );
}

/** The first file that the headline does not name anyway. */
const otherPath = (row, headline) => baseName(plain(row.paths?.find((path) => !headline.includes(path)) ?? ""));

/** A ring for what is only in the spool; a point once it is in the graph. */
export function pendingMark(pending) {
  if (!pending) return h("span", { class: "flushed-mark", title: "In the graph" });
  return h(
    "span",
    { class: "pending-ring", title: "Safe in the spool, not yet in the graph" },
    h("span", { class: "unseen" }, "pending"),
  );
}
