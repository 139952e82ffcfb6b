// Where to begin: the project's files and errors, to search and to choose from.
import { Latest, aborted, get } from "../api.js";
import { button, h, plain, show } from "../dom.js";
import { failed, notice, waiting } from "../states.js";
import { count } from "../words.js";
import { typeClass } from "./palette.js";

const TABS = [
  ["File", "Files"],
  ["Error", "Errors"],
];
const LIMIT = 150;
const TYPED_MS = 220;

export class Entries {
  #group = "";
  #type = "File";
  #text = "";
  #timer = 0;
  #latest = new Latest();
  #nodes = [];
  #marked = -1;
  #chosen = null;

  /** `chosen(uuid)` is called with what the person picks. */
  constructor(place, chosen) {
    this.chose = chosen;
    this.field = h("input", { type: "search", class: "field", placeholder: "Find a file", "aria-label": "Find", autocomplete: "off", spellcheck: "false" });
    this.field.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#typed(), TYPED_MS);
    });
    this.tabs = TABS.map(([type, word]) => button(word, () => this.#turn(type), { role: "tab", class: "tab", data: { type } }));
    this.list = h("ul", { class: "entries-list", role: "listbox", tabindex: "0", "aria-label": "Where to begin" });
    this.list.addEventListener("click", (event) => {
      const index = Number(event.target.closest("[data-index]")?.dataset.index ?? -1);
      if (index >= 0) this.#pick(index);
    });
    this.state = h("div", { class: "list-state" });
    show(place, h("div", { class: "tabs", role: "tablist" }, this.tabs), this.field, this.list, this.state);
    this.#dressTabs();
  }

  /** Show this project's entries; gives the one to begin with. */
  async load(group) {
    this.#group = group;
    return this.#ask();
  }

  /** Mark what the picture is centred on. */
  center(uuid) {
    this.#chosen = uuid;
    this.#dress();
  }

  move(step) {
    if (!this.#nodes.length) return;
    const from = this.#marked < 0 ? (step > 0 ? -1 : 0) : this.#marked;
    this.#marked = Math.min(this.#nodes.length - 1, Math.max(0, from + step));
    this.list.focus({ preventScroll: true });
    this.#dress();
    this.list.children[this.#marked]?.scrollIntoView({ block: "nearest" });
  }

  open() {
    if (this.#marked >= 0) this.#pick(this.#marked);
  }

  focus() {
    this.field.focus();
    this.field.select();
  }

  close() {
    clearTimeout(this.#timer);
    this.#latest.stop();
  }

  #typed() {
    this.#text = this.field.value.trim();
    this.#ask();
  }

  #turn(type) {
    this.#type = type;
    this.field.placeholder = type === "File" ? "Find a file" : "Find an error";
    this.#dressTabs();
    this.#ask();
  }

  async #ask() {
    this.#nodes = [];
    this.#marked = -1;
    show(this.list);
    waiting(this.state, 6);
    try {
      const query = { group: this.#group, types: this.#type, text: this.#text, limit: LIMIT };
      const { nodes } = await get("/api/graph", query, this.#latest.signal());
      this.#nodes = nodes.filter((node) => node.type === this.#type);
      this.#nodes.sort((a, b) => (b.degree ?? 0) - (a.degree ?? 0) || (a.name < b.name ? -1 : 1));
      this.#draw();
      return this.#nodes[0]?.uuid ?? null;
    } catch (error) {
      if (!aborted(error)) failed(this.state, error, () => this.#ask());
      return undefined;
    }
  }

  #draw() {
    if (this.#nodes.length) show(this.state);
    else notice(this.state, this.#text ? "Nothing matches" : this.#type === "File" ? "No files yet" : "No errors. Good.");
    show(this.list, this.#nodes.map((node, index) => entry(node, index)));
    this.#dress();
  }

  #pick(index) {
    this.#marked = index;
    this.#dress();
    this.chose(this.#nodes[index].uuid);
  }

  #dressTabs() {
    for (const tab of this.tabs) tab.setAttribute("aria-selected", String(tab.dataset.type === this.#type));
  }

  #dress() {
    [...this.list.children].forEach((row, index) => {
      row.classList.toggle("is-active", index === this.#marked);
      row.setAttribute("aria-selected", String(this.#nodes[index]?.uuid === this.#chosen));
      if (index === this.#marked) this.list.setAttribute("aria-activedescendant", row.id);
    });
  }
}

function entry(node, index) {
  const cut = node.type === "File" ? node.name.lastIndexOf("/") + 1 : 0;
  return h(
    "li",
    { class: `entry ${typeClass(node.type)}`, role: "option", id: `entry-${index}`, data: { index: String(index) }, title: plain(node.name) },
    h("span", { class: "type-dot", "aria-hidden": "true" }),
    h("span", { class: "entry-name" }, node.name.slice(cut), cut > 0 && h("span", { class: "entry-folder" }, node.name.slice(0, cut - 1))),
    h("span", { class: "entry-degree", title: "Facts about it" }, count(node.degree ?? 0)),
  );
}
