// Diagnostics: the backlog, what failed and how to go on, and how the parts are.
import { Latest, aborted, get, post } from "../api.js";
import { button, h, show } from "../dom.js";
import { healthOf } from "../health.js";
import { on } from "../signals.js";
import { failed, waiting } from "../states.js";
import { lasting } from "../time.js";
import { DEGRADATION, count, ms, plural } from "../words.js";
import { backlogTable, batchStates, stuckOf } from "./backlog.js";
import { distribution, metricsTable, record, total } from "./metrics.js";
import { bridgePairs, engineTable } from "./parts.js";
import { Series, sparkline } from "./series.js";

const PAUSE_MS = 3000;
/** Values survive leaving the view, so that coming back shows a line and not a dot. */
const series = new Series();

export function diagnosticsView(main, { projects }) {
  return new Diagnostics(main, projects);
}

class Diagnostics {
  #latest = new Latest();
  #timer = 0;
  #closed = false;
  #drawn = false;
  #off;

  constructor(main, projects) {
    this.projects = projects;
    this.parts = layout(main, {
      flush: (event) => this.#flush(undefined, event.target),
      retry: (event) => this.#retry(undefined, event.target),
    });
    waiting(this.parts.health, 3);
    this.#off = on("bridge-back", () => this.#poll());
    this.#poll();
  }

  update() {}

  key() {
    return false;
  }

  close() {
    this.#closed = true;
    this.#off();
    clearTimeout(this.#timer);
    this.#latest.stop();
  }

  async #poll() {
    clearTimeout(this.#timer);
    const signal = this.#latest.signal();
    try {
      if (!document.hidden || !this.#drawn) {
        const paths = ["/api/status", "/api/raw-events/status", "/api/metrics"];
        this.#draw(...(await Promise.all(paths.map((path) => get(path, {}, signal)))));
      }
    } catch (error) {
      if (aborted(error)) return;
      if (!this.#drawn) failed(this.parts.health, error, () => this.#poll());
    }
    if (!this.#closed) this.#timer = setTimeout(() => this.#poll(), PAUSE_MS);
  }

  #draw(status, backlog, metrics) {
    if (this.#closed) return;
    this.#drawn = true;
    record(series, metrics);
    series.add("pending", backlog.pending);
    const { parts } = this;
    show(parts.health, healthFigures(status, backlog, metrics));
    show(parts.states, batchStates(backlog.batches));
    parts.retry.disabled = stuckOf(backlog.batches) === 0;
    parts.flush.disabled = backlog.pending === 0;
    calmly(parts.backlog, backlogTable(backlog, {
      retry: (session, pressed) => this.#retry(session, pressed),
      flush: (session, pressed) => this.#flush(session, pressed),
      projectName: (group) => this.projects.of(group)?.name ?? group,
    }));
    show(parts.engines, engineTable(status));
    show(parts.bridge, bridgePairs(status));
    calmly(parts.metrics, metricsTable(metrics, series));
  }

  async #retry(session, pressed) {
    const gaveUp = this.parts.gaveUp.checked;
    await this.#act(pressed, async () => {
      const asked = session ? { session, gave_up: true } : gaveUp ? { gave_up: true } : { only_error: true };
      const { retried } = await post("/api/raw-events/retry", asked);
      return retried ? `${plural(retried, "batch", "batches")} will be tried again now.` : "Nothing is left to retry.";
    });
  }

  async #flush(session, pressed) {
    await this.#act(pressed, async () => {
      const done = await post("/api/flush", session ? { session } : {});
      const told = `${plural(done.batches, "batch", "batches")} flushed, ${plural(done.episodes, "episode")} in the graph`;
      return done.failed ? `${told}; ${count(done.failed)} failed: ${done.errors?.at(-1) ?? ""}` : `${told}.`;
    });
  }

  async #act(pressed, act) {
    pressed.disabled = true;
    this.parts.said.textContent = "…";
    try {
      this.parts.said.textContent = await act();
    } catch (error) {
      this.parts.said.textContent = error.message;
    }
    pressed.disabled = false;
    this.#poll();
  }
}

/** Draw a table anew, but keep its focus and its scroll, and leave it alone while it is selected. */
function calmly(place, content) {
  const selection = getSelection();
  if (selection && !selection.isCollapsed && place.contains(selection.anchorNode)) return;
  const { scrollLeft = 0 } = place.querySelector(".table-place") ?? {};
  const index = [...place.querySelectorAll("a, button")].indexOf(document.activeElement);
  show(place, content);
  const table = place.querySelector(".table-place");
  if (table && scrollLeft) table.scrollLeft = scrollLeft;
  if (index >= 0) [...place.querySelectorAll("a, button")][index]?.focus({ preventScroll: true });
}

function healthFigures(status, backlog, metrics) {
  const { word } = healthOf(status);
  const hits = total(metrics, "opencode.memory.cache_hit");
  const asked = hits + total(metrics, "opencode.memory.cache_miss");
  if (asked) series.add("hit ratio", hits / asked);
  const flushes = distribution(metrics, "opencode.memory.flush_duration");
  const slowest = Math.max(...flushes.map((row) => row.p95), 0);
  const usual = flushes.find((row) => row.tags?.outcome === "completed") ?? flushes[0];
  return h(
    "div",
    { class: "health-place" },
    h(
      "p",
      { class: "health-big", data: { level: word } },
      h("span", { class: "health-dot", "aria-hidden": "true" }),
      h("strong", {}, word || "unknown"),
      h("span", { class: "quiet" }, DEGRADATION.get(word) ?? ""),
    ),
    backlog.disk && backlog.disk !== "ok" && h("p", { class: "answer-warning" }, `Nothing can be stored: ${backlog.disk}`),
    h(
      "dl",
      { class: "figures" },
      figure("Pending", count(backlog.pending), sparkline(series.of("pending"), "Pending lately")),
      figure("Oldest", backlog.pending ? lasting(backlog.oldest_age_s) : "–"),
      figure("Cache hits", asked ? `${Math.round((100 * hits) / asked)} %` : "–", asked ? sparkline(series.of("hit ratio"), "Hit ratio lately") : null),
      figure("Flush, usual", usual ? ms(usual.p50) : "–"),
      figure("Flush, slow (p95)", usual ? ms(slowest) : "–"),
    ),
  );
}

const figure = (name, value, line) => h("div", {}, h("dt", {}, name), h("dd", {}, value, " ", line));

function layout(main, act) {
  const parts = {
    health: h("div", {}),
    states: h("div", {}),
    backlog: h("div", {}),
    engines: h("div", {}),
    bridge: h("div", {}),
    metrics: h("div", {}),
    said: h("p", { class: "said", role: "status" }),
    flush: button("Flush now", act.flush, { class: "quiet-button" }),
    retry: button("Retry all errors", act.retry, { class: "quiet-button" }),
    gaveUp: h("input", { type: "checkbox", id: "gave-up" }),
  };
  show(
    main,
    h(
      "div",
      { class: "page diagnostics" },
      h("header", { class: "page-head" }, h("h1", {}, "Diagnostics")),
      parts.health,
      section(
        "Backlog",
        parts.states,
        h("div", { class: "actions" }, parts.flush, parts.retry, h("label", { class: "check" }, parts.gaveUp, "also what was given up"), parts.said),
        parts.backlog,
      ),
      section("Parts", parts.engines, h("details", { class: "more" }, h("summary", {}, "More about the bridge"), parts.bridge)),
      section("Metrics", parts.metrics),
    ),
  );
  return parts;
}

const section = (title, ...content) => h("section", { class: "diagnostics-section" }, h("h2", {}, title), content);
