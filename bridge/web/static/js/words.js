// The page's words for what the memory's values mean.

/** Kinds of episodes, in the order of the filter. */
export const KINDS = new Map([
  ["prompt", "prompt"],
  ["file_edit", "edit"],
  ["command", "command"],
  ["error", "error"],
  ["success", "done"],
  ["summary", "summary"],
  ["message", "message"],
  ["note", "note"],
  ["tool", "tool"],
]);

export const kindWord = (kind) => KINDS.get(kind) ?? String(kind).replaceAll("_", " ");
/** A class name for a kind: only ever one of ours. */
export const kindClass = (kind) => (KINDS.has(kind) || kind === "fact" ? `kind-${kind}` : "kind-tool");

/** What each word of the degradation ladder means. */
export const DEGRADATION = new Map([
  ["live", "Spool, graph and cache all answer."],
  ["no-cache", "The cache does not answer: questions take longer, nothing is lost."],
  ["no-graph", "The graph does not answer: new events wait safely in the spool."],
  ["spool-only", "Only the spool answers: events are kept and flushed later."],
]);

export const BATCH_STATES = new Map([
  ["started", "being flushed"],
  ["completed", "in the graph"],
  ["skipped", "nothing worth keeping"],
  ["error", "failed, will be tried again"],
  ["gave_up", "given up: retry by hand"],
]);

export const CACHE_OUTCOMES = new Map([
  ["hit", "answered from the cache"],
  ["miss", "not in the cache: searched"],
  ["outdated", "cached, but something it depends on has changed: searched anew"],
  ["bypass", "the cache was not asked"],
]);

const NUMBER = new Intl.NumberFormat("en-GB");
export const count = (n) => (Number.isFinite(n) ? NUMBER.format(n) : "–");
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export function bytes(n) {
  if (!Number.isFinite(n)) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let size = n;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

export function ms(value) {
  if (!Number.isFinite(value)) return "–";
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 10_000) return `${count(Math.round(value))} ms`;
  return `${(value / 1000).toFixed(1)} s`;
}

/** The last part of a path. */
export const baseName = (path) => String(path).replace(/\/+$/, "").split("/").pop() || String(path);
