// Times come as seconds since the epoch and are read in the person's own zone.
import { h } from "./dom.js";

const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Seconds, whether they come as a number or in ISO 8601; NaN when neither. */
export function seconds(value) {
  return typeof value === "number" ? value : Date.parse(value) / 1000;
}

const date = (at) => new Date(at * 1000);
const valid = (at) => Number.isFinite(at) && Math.abs(at) < 8.64e12;

export const exact = (at) => (valid(at) ? EXACT.format(date(at)) : "at an unknown time");
export const moment = (at) => (valid(at) ? MOMENT.format(date(at)) : "unknown");

/** "3 min ago", "2 h ago", then the date. */
export function ago(at, now = Date.now() / 1000) {
  if (!valid(at)) return "unknown";
  const age = now - at;
  if (age < -60) return moment(at);
  if (age < 45) return "now";
  if (age < 3600) return `${Math.max(1, Math.round(age / 60))} min ago`;
  if (age < 86400) return `${Math.round(age / 3600)} h ago`;
  if (age < 7 * 86400) return `${Math.round(age / 86400)} d ago`;
  return (age < 300 * 86400 ? DATE : YEAR).format(date(at));
}

/** Beside a heading with the day: short when it is fresh, the clock when it is not. */
export function brief(at, now = Date.now() / 1000) {
  const age = now - at;
  if (!valid(at)) return "";
  if (age > -60 && age < 45) return "now";
  if (age >= 0 && age < 3600) return `${Math.max(1, Math.round(age / 60))} min`;
  return CLOCK.format(date(at));
}

/** A day's key and its heading. */
export function dayOf(at, now = new Date()) {
  if (!valid(at)) return { key: "unknown", label: "At an unknown time" };
  const day = date(at);
  const key = `${day.getFullYear()}-${day.getMonth()}-${day.getDate()}`;
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  const days = Math.ceil((midnight - day) / 86_400_000);
  if (days === 0) return { key, label: "Today" };
  if (days === 1) return { key, label: "Yesterday" };
  const label = DAY.format(day);
  return { key, label: day.getFullYear() === now.getFullYear() ? label : `${label} ${day.getFullYear()}` };
}

const STYLES = { ago, brief };

/** A `<time>` that stays right while the page is open. */
export function timeOf(at, style = "ago") {
  const known = valid(at);
  return h(
    "time",
    {
      title: exact(at),
      datetime: known ? date(at).toISOString() : null,
      data: known ? { at: String(at), style } : {},
    },
    STYLES[style](at),
  );
}

export function refreshTimes(root = document) {
  for (const element of root.querySelectorAll("time[data-at]")) {
    const text = STYLES[element.dataset.style](Number(element.dataset.at));
    if (element.textContent !== text) element.textContent = text;
  }
}

/** A length of time: "0.8 s", "3 min", "2 h 5 min". */
export function lasting(s) {
  if (!Number.isFinite(s)) return "–";
  if (s < 10) return `${Math.max(0, s).toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
  return `${Math.round(s / 86400)} d`;
}
