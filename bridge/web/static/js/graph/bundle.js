// From the API's nodes and edges to what can be read: parallel facts as one line, short labels.
import { isClosed, relationWord } from "../facts.js";
import { plain } from "../dom.js";
import { seconds } from "../time.js";
import { baseName } from "../words.js";

const LONGEST_LABEL = 38;

/** Facts of one relation between the same two things, as one line with a count. */
export function bundled(edges) {
  const bundles = new Map();
  for (const edge of edges) {
    const key = JSON.stringify([edge.source, edge.target, edge.relation]);
    if (!bundles.has(key)) {
      bundles.set(key, { id: `e:${key}`, source: edge.source, target: edge.target, relation: edge.relation, facts: [] });
    }
    bundles.get(key).facts.push(edge);
  }
  for (const bundle of bundles.values()) {
    bundle.facts.sort((a, b) => seconds(b.valid_at) - seconds(a.valid_at));
    bundle.closed = bundle.facts.every(isClosed);
    const times = bundle.facts.length > 1 ? ` ×${bundle.facts.length}` : "";
    bundle.label = relationWord(bundle.relation) + times;
  }
  return [...bundles.values()];
}

/** What stands beside each node; two files of one name get their folder too. */
export function labels(nodes, titles) {
  const names = new Map();
  for (const node of nodes) {
    if (node.type !== "File" && node.type !== "Directory") continue;
    const name = baseName(node.name);
    names.set(name, (names.get(name) ?? 0) + 1);
  }
  return new Map(nodes.map((node) => [node.uuid, shortened(labelOf(node, titles, names))]));
}

function labelOf(node, titles, names) {
  if (node.type === "File" || node.type === "Directory") {
    if (node.name === ".") return "project folder";
    const name = baseName(node.name);
    return names.get(name) > 1 ? node.name.split("/").slice(-2).join("/") : name;
  }
  if (node.type === "Symbol") return node.name.split("::").pop();
  if (node.type === "Session") return titles.get(node.name) || `session …${node.name.slice(-5)}`;
  return node.name;
}

function shortened(text) {
  const line = plain(text).replace(/\s+/g, " ").trim();
  return line.length > LONGEST_LABEL ? `${line.slice(0, LONGEST_LABEL - 1).trimEnd()}…` : line;
}

/** The name in full, for the panel. */
export const fullName = (node, titles) => (node.type === "Session" && titles.get(node.name)) || node.name;
