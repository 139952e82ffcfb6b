// Search, path and kind: what of the timeline is shown.
import { button, h, show } from "../dom.js";
import { adjust } from "../router.js";
import { KINDS } from "../words.js";

const TYPED_MS = 220;

export class Filters {
  #search;
  #path;
  #chips = new Map();
  #timer = 0;

  constructor(place) {
    this.#search = this.#field("Search episodes", "text", "search");
    this.#path = this.#field("Exact path", "path", "path-field");
    for (const [kind, word] of KINDS) {
      this.#chips.set(kind, button(word, () => this.#chose(kind), { class: `chip kind-${kind}` }));
    }
    show(
      place,
      h("div", { class: "filter-fields" }, this.#search, this.#path),
      h("div", { class: "chips", role: "group", "aria-label": "Kind" }, [...this.#chips.values()]),
    );
  }

  /** Show what the address says. */
  update(params) {
    for (const [field, value] of [[this.#search, params.text], [this.#path, params.path]]) {
      if (document.activeElement !== field) field.value = value ?? "";
    }
    for (const [kind, chip] of this.#chips) {
      chip.setAttribute("aria-pressed", String(params.kind === kind));
    }
  }

  focus() {
    this.#search.focus();
    this.#search.select();
  }

  close() {
    clearTimeout(this.#timer);
  }

  #field(label, name, className) {
    const field = h("input", {
      type: "search",
      class: `field ${className}`,
      placeholder: label,
      "aria-label": label,
      autocomplete: "off",
      spellcheck: "false",
    });
    field.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#typed(name, field), TYPED_MS);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#typed(name, field);
    });
    return field;
  }

  #typed(name, field) {
    clearTimeout(this.#timer);
    adjust({ [name]: field.value.trim(), episode: null }, { replace: true });
  }

  #chose(kind) {
    const pressed = this.#chips.get(kind).getAttribute("aria-pressed") === "true";
    adjust({ kind: pressed ? null : kind, episode: null });
  }
}
