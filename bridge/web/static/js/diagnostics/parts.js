// The processes behind the bridge: whether they run, and what they hold.
import { h } from "../dom.js";
import { reading, worded } from "../reading.js";

/** Shown elsewhere on the page. */
const ELSEWHERE = new Set(["degradation", "engines", "spool"]);

export function engineTable(status) {
  const engines = Object.entries(status.engines ?? {});
  const rows = [
    ["bridge", { pid: status.pid, state: "running", ...own(status, "memory"), ...own(status, "bridge") }],
    ...(status.worker ? [["flush worker", { pid: status.worker, state: "running" }]] : []),
    ...engines,
  ];
  return h(
    "div",
    { class: "table-place" },
    h(
      "table",
      { class: "table" },
      h("thead", {}, h("tr", {}, ["Part", "State", "Process", "Memory and more"].map((word) => h("th", { scope: "col" }, word)))),
      h("tbody", {}, rows.map(([name, about]) => engineRow(name, about))),
    ),
  );
}

function own(status, name) {
  const value = status[name];
  return value !== null && typeof value === "object" ? value : {};
}

function engineRow(name, about) {
  const rest = Object.entries(about ?? {}).filter(([key, value]) => !["pid", "state"].includes(key) && value !== null);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, name),
    h("td", {}, h("span", { class: "state-word", data: { state: about?.state ?? "unknown" } }, about?.state ?? "–")),
    h("td", { class: "number" }, about?.pid ? String(about.pid) : "–"),
    h("td", {}, rest.length ? rest.map(([key, value]) => worded(key, value)).join(", ") : "–"),
  );
}

export function bridgePairs(status) {
  const pairs = [];
  for (const [name, value] of Object.entries(status)) {
    if (ELSEWHERE.has(name) || value === null) continue;
    if (name !== "memory" && name !== "bridge") pairs.push([name, reading(name, value)]);
  }
  return h("dl", { class: "pairs" }, pairs.map(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, value)]));
}
