// The time at which the graph is looked at: from its first fact to now.
import { button, h, show } from "../dom.js";
import { moment } from "../time.js";

const STEPS = 400;
const MOVED_MS = 160;

export class Slider {
  #first = NaN;
  #last = NaN;
  #timer = 0;

  /** `moved(at)` is called with seconds, or null for now. */
  constructor(place, moved) {
    this.moved = moved;
    this.range = h("input", { type: "range", class: "slider", min: "0", max: String(STEPS), step: "1", value: String(STEPS), "aria-label": "Time" });
    this.label = h("output", { class: "slider-label" });
    this.now = button("Now", () => this.#to(null), { class: "quiet-button" });
    this.range.addEventListener("input", () => {
      this.#say();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.moved(this.#at()), MOVED_MS);
    });
    show(place, this.range, this.label, this.now);
    this.#say();
  }

  /** The graph's span, as the API gives it; the widest one that was seen is kept. */
  span(first, last) {
    if (!Number.isFinite(first) || !Number.isFinite(last)) return;
    const at = this.#at();
    this.#first = Math.min(first, Number.isFinite(this.#first) ? this.#first : first);
    this.#last = Math.max(last, Number.isFinite(this.#last) ? this.#last : last);
    this.set(at);
  }

  set(at) {
    const span = this.#last - this.#first;
    const share = at === null || !(span > 0) ? 1 : (at - this.#first) / span;
    if (document.activeElement !== this.range) this.range.value = String(Math.round(Math.min(1, Math.max(0, share)) * STEPS));
    this.#say();
  }

  reset() {
    this.#first = NaN;
    this.#last = NaN;
    this.range.value = String(STEPS);
    this.#say();
  }

  close() {
    clearTimeout(this.#timer);
  }

  #at() {
    const step = Number(this.range.value);
    if (step >= STEPS || !(this.#last > this.#first)) return null;
    return Math.round(this.#first + ((this.#last - this.#first) * step) / STEPS);
  }

  #to(at) {
    this.range.value = String(STEPS);
    this.#say();
    this.moved(at);
  }

  #say() {
    const at = this.#at();
    const text = at === null ? "now" : moment(at);
    this.label.textContent = at === null ? "What is true now" : `As of ${text}`;
    this.range.setAttribute("aria-valuetext", text);
    this.now.hidden = at === null;
    this.range.disabled = !(this.#last > this.#first);
  }
}
