// Ask what the agent would ask: what it would be given, and why.
import { Latest, aborted, post } from "../api.js";
import { button, h, show } from "../dom.js";
import { adjust } from "../router.js";
import { failed, notice, waiting } from "../states.js";
import { CACHE_OUTCOMES, count, ms } from "../words.js";
import { Candidates } from "./candidates.js";

const EXAMPLES = ["What failed last, and what fixed it?", "What was decided?", "What did I work on yesterday?"];
const DEFAULTS = { budget: "1500", limit: "12" };

export function askView(main) {
  return new Ask(main);
}

class Ask {
  #params = {};
  #asked = null;
  #latest = new Latest();
  #candidates = null;

  constructor(main) {
    this.question = h("textarea", {
      class: "question",
      id: "question",
      rows: "2",
      maxlength: "8000",
      placeholder: "What would you ask this project’s memory?",
      "aria-label": "Question",
      on: { keydown: (event) => this.#typed(event) },
    });
    this.budget = numberField("Tokens", DEFAULTS.budget, 50, 20_000);
    this.limit = numberField("Candidates", DEFAULTS.limit, 1, 50);
    this.at = h("input", { type: "datetime-local", class: "field", "aria-label": "As of" });
    this.result = h("div", { class: "answer", "aria-live": "polite" });
    const form = h(
      "form",
      { class: "ask-form", role: "search", on: { submit: (event) => this.#submitted(event) } },
      this.question,
      h(
        "div",
        { class: "ask-options" },
        h("label", {}, h("span", {}, "Tokens"), this.budget),
        h("label", {}, h("span", {}, "Candidates"), this.limit),
        h("label", {}, h("span", {}, "As of"), this.at),
        h("button", { type: "submit", class: "primary" }, "Ask"),
      ),
    );
    show(main, h("div", { class: "page ask" }, h("h1", { class: "unseen" }, "Ask"), form, this.result));
    this.#welcome();
    if (matchMedia("(hover: hover)").matches) this.question.focus();
  }

  update(params) {
    const first = this.#params.group === undefined;
    const moved = !first && this.#params.group !== params.group;
    this.#params = params;
    if (params.text && (first || this.question !== document.activeElement)) this.question.value = params.text;
    this.budget.value = params.budget ?? DEFAULTS.budget;
    this.limit.value = params.limit ?? DEFAULTS.limit;
    this.at.value = params.at ?? "";
    const wanted = JSON.stringify(params);
    if (!params.text) this.#welcome();
    else if (moved || wanted !== this.#asked) this.#ask();
    this.#asked = wanted;
  }

  key(doing) {
    if (doing === "search") {
      this.question.focus();
      this.question.select();
      return true;
    }
    if (doing === "close") return false;
    return this.#candidates?.key(doing) ?? false;
  }

  close() {
    this.#latest.stop();
  }

  #typed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  }

  #submitted(event) {
    event.preventDefault();
    const text = this.question.value.trim();
    if (!text) return;
    this.question.blur();
    this.#asked = null; // the same question asked again is asked again
    const changes = { text, budget: other(this.budget, "budget"), limit: other(this.limit, "limit"), at: this.at.value };
    const before = location.hash;
    adjust(changes);
    if (location.hash === before) this.update(this.#params);
  }

  #welcome() {
    this.#candidates = null;
    notice(this.result, "See what the agent would be given", [
      "A question is answered exactly as in a session: the same search, the same cache, the same budget.",
    ]);
    this.result.firstChild.append(
      h("p", { class: "examples" }, EXAMPLES.map((text) => button(text, () => adjust({ text }), { class: "chip" }))),
    );
  }

  async #ask() {
    waiting(this.result, 6);
    const { group, text, budget, limit, at } = this.#params;
    try {
      const when = at ? Date.parse(at) / 1000 : undefined;
      const body = {
        group,
        text,
        budget: Number(budget ?? DEFAULTS.budget),
        limit: Number(limit ?? DEFAULTS.limit),
        ...(Number.isFinite(when) ? { at: when } : {}),
      };
      this.#draw(await post("/api/query", body, this.#latest.signal()));
    } catch (error) {
      if (!aborted(error)) failed(this.result, error, () => this.#ask());
    }
  }

  #draw(answer) {
    const hits = answer.hits ?? [];
    this.#candidates = new Candidates(hits);
    show(
      this.result,
      figures(answer),
      answer.complete === false &&
        h("p", { class: "answer-warning" }, "The graph did not answer in time: this is what the spool alone knows."),
      h(
        "section",
        { class: "answer-block", "aria-labelledby": "block-title" },
        h("h2", { id: "block-title" }, "Given to the agent"),
        answer.block
          ? h("pre", { class: "body block", tabindex: "0" }, answer.block)
          : h("p", { class: "quiet" }, "Nothing: no memory is relevant enough to this question."),
      ),
      hits.length > 0 && h("section", { "aria-labelledby": "hits-title" }, h("h2", { id: "hits-title" }, "Candidates"), this.#candidates.element),
    );
  }
}

function figures(answer) {
  const outcome = String(answer.cache ?? "");
  const share = answer.budget > 0 ? Math.min(1, answer.tokens / answer.budget) : 0;
  const meter = h("meter", { min: "0", max: "1", value: String(share), "aria-label": "Share of the budget" });
  const included = (answer.hits ?? []).filter((hit) => hit.included).length;
  return h(
    "dl",
    { class: "figures" },
    figure("Cache", h("span", { class: "outcome", data: { outcome }, title: CACHE_OUTCOMES.get(outcome) ?? "" }, outcome || "–")),
    figure("Time", ms(answer.ms)),
    figure("Tokens", [`${count(answer.tokens)} of ${count(answer.budget)}`, meter]),
    figure("Included", `${count(included)} of ${count((answer.hits ?? []).length)}`),
  );
}

const figure = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

function numberField(label, value, min, max) {
  return h("input", {
    type: "number", class: "field", "aria-label": label, value, min: String(min), max: String(max), required: true,
  });
}

/** A field's value when it differs from what is asked for anyway. */
const other = (field, name) => (field.value === DEFAULTS[name] ? null : field.value);
