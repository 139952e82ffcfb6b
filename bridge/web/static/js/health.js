// The word in the corner: how the memory is, and the way to the diagnostics and back.
import { go, here } from "./router.js";
import { on } from "./signals.js";
import { count, DEGRADATION } from "./words.js";

/** What a status says about health, whichever of its two forms it came in. */
export function healthOf(status) {
  return {
    word: String(status.degradation ?? ""),
    pending: Number(status.spool?.pending ?? status.pending ?? 0),
    oldest: Number(status.spool?.oldest_age_s ?? status.oldest_age_s ?? 0),
  };
}

export function watchHealth(toggle) {
  const word = document.getElementById("health-word");
  const pending = document.getElementById("health-pending");
  let before = "timeline";

  watchHealth.show = (status) => {
    const health = healthOf(status);
    toggle.dataset.level = DEGRADATION.has(health.word) ? health.word : "unknown";
    word.textContent = health.word || "…";
    pending.textContent = health.pending ? `${count(health.pending)} pending` : "";
    toggle.title = `${DEGRADATION.get(health.word) ?? ""} Diagnostics: g d`.trim();
  };
  const mark = () => {
    const { view } = here();
    toggle.setAttribute("aria-pressed", String(view === "diagnostics"));
    if (view !== "diagnostics") before = view;
  };
  toggle.addEventListener("click", () => go(here().view === "diagnostics" ? before : "diagnostics"));
  addEventListener("hashchange", mark);
  on("live-status", watchHealth.show);
  on("bridge-gone", () => {
    toggle.dataset.level = "unknown";
    word.textContent = "no answer";
    pending.textContent = "";
  });
  mark();
}
