// Values of all kinds in words, as their names tell.
import { lasting } from "./time.js";
import { bytes, count } from "./words.js";

/** Numbers that name something and count nothing. */
const NAMES = new Set(["pid", "worker", "port", "exit"]);
const DEEPEST = 4;

/** "read 41,000": a value with its name. */
export const worded = (name, value, depth = 0) =>
  `${name.replace(/_(bytes|s|ms)$/, "").replaceAll("_", " ")} ${reading(name, value, depth)}`;

/** A value alone. */
export function reading(name, value, depth = 0) {
  if (typeof value === "number") return number(name, value);
  if (value === null || typeof value !== "object") return String(value);
  if (depth >= DEEPEST) return "…";
  if (Array.isArray(value)) return value.map((each) => reading(name, each, depth + 1)).join(", ");
  const inside = Object.entries(value).map(([key, each]) => worded(key, each, depth + 1));
  return depth ? `(${inside.join(", ")})` : inside.join(", ");
}

function number(name, value) {
  if (NAMES.has(name)) return String(value);
  if (/(_bytes|^rss|^bytes|memory)$/.test(name)) return bytes(value);
  if (name.endsWith("_ms")) return `${count(value)} ms`;
  if (name.endsWith("_s") || name === "duration") return lasting(value);
  return count(value);
}
