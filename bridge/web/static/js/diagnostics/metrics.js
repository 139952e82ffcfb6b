// The product's own metrics since the bridge started, as one table.
import { h } from "../dom.js";
import { timeOf } from "../time.js";
import { count } from "../words.js";
import { sparkline } from "./series.js";

const PREFIX = /^opencode\.(memory\.)?/;

const tagsOf = (tags) => Object.entries(tags ?? {}).map(([name, value]) => `${name}:${value}`).join(" ");
const keyOf = (row) => `${row.name} ${tagsOf(row.tags)}`;
const inOrder = (rows) => [...(rows ?? [])].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));

function round(value) {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return count(value);
  if (Math.abs(value) < 0.01) return value.toPrecision(1);
  return value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}

/** The sum of a counter over all its tags. */
export const total = (metrics, name) =>
  (metrics.counters ?? []).filter((row) => row.name === name).reduce((sum, row) => sum + row.value, 0);

export const distribution = (metrics, name) => (metrics.distributions ?? []).filter((row) => row.name === name);

/** Keep what was polled, so that the lines grow. */
export function record(series, metrics) {
  for (const row of [...(metrics.counters ?? []), ...(metrics.gauges ?? [])]) series.add(keyOf(row), row.value);
  for (const row of metrics.distributions ?? []) series.add(keyOf(row), row.p50);
}

export function metricsTable(metrics, series) {
  const rows = [
    ...inOrder(metrics.counters).map((row) => line(row, "count", round(row.value), series)),
    ...inOrder(metrics.gauges).map((row) => line(row, "now", round(row.value), series)),
    ...inOrder(metrics.distributions).map((row) => line(row, `${count(row.count)} samples`, spread(row), series)),
  ];
  if (!rows.length) return h("p", { class: "quiet" }, "Nothing has been counted yet.");
  return [
    Number.isFinite(metrics.since) && h("p", { class: "quiet" }, "Since the bridge started, ", timeOf(metrics.since), ". The lines grow while this view is open."),
    h(
      "div",
      { class: "table-place", tabindex: "0", role: "region", "aria-label": "Metrics" },
      h(
        "table",
        { class: "table metrics" },
        h("thead", {}, h("tr", {}, ["Metric", "Tags", "Kind", "Value", "Lately"].map((word) => h("th", { scope: "col" }, word)))),
        h("tbody", {}, rows),
      ),
    ),
  ];
}

function spread(row) {
  return [row.p50, row.p95, row.p99, row.max].map(round).join(" · ");
}

function line(row, kind, value, series) {
  const name = row.name.replace(PREFIX, "");
  const isSpread = row.p50 !== undefined;
  return h(
    "tr",
    {},
    h("th", { scope: "row", title: row.name }, name),
    h("td", { class: "tag-cell" }, tagsOf(row.tags)),
    h("td", { class: "quiet" }, kind),
    h("td", { class: "number", title: isSpread ? "p50 · p95 · p99 · max" : null }, value),
    h("td", { class: "spark-cell" }, sparkline(series.of(keyOf(row)), `${name} lately`)),
  );
}
