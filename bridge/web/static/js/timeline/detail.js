// One episode in full, beside the list.
import { Latest, aborted, get } from "../api.js";
import { button, h, show } from "../dom.js";
import { adjust, link } from "../router.js";
import { exact, timeOf } from "../time.js";
import { factLine } from "../facts.js";
import { reading } from "../reading.js";
import { kindClass, kindWord } from "../words.js";
import { body } from "./text-body.js";

/** Metadata that stands elsewhere in the panel. */
const ELSEWHERE = new Set(["type", "path", "old_path", "source"]);

export class Detail {
  #place;
  #latest = new Latest();
  #shown = null;

  constructor(place) {
    this.#place = place;
  }

  get isOpen() {
    return !this.#place.hidden;
  }

  /** Show the episode `uuid`; `known` is what the list has of it. */
  async open(group, uuid, known) {
    const same = this.#shown === uuid;
    this.#shown = uuid;
    this.#place.hidden = false;
    if (known && !same) this.#draw({ ...known, partial: true });
    try {
      const whole = await get(`/api/episodes/${encodeURIComponent(uuid)}`, { group }, this.#latest.signal());
      if (this.#shown === uuid) this.#draw(whole);
    } catch (error) {
      if (!aborted(error) && this.#shown === uuid) this.#failed(error, known);
    }
  }

  close() {
    this.#latest.stop();
    this.#shown = null;
    this.#place.hidden = true;
    show(this.#place);
  }

  focus() {
    this.#place.querySelector("h2")?.focus({ preventScroll: true });
  }

  #failed(error, known) {
    if (known) this.#draw({ ...known, trouble: error.message });
    else show(this.#place, head("Episode"), h("p", { class: "detail-note" }, error.message));
  }

  #draw(episode) {
    const scrolled = this.#place.scrollTop;
    const held = this.#place.contains(document.activeElement);
    show(
      this.#place,
      head(kindWord(episode.kind), kindClass(episode.kind)),
      h(
        "p",
        { class: "detail-when" },
        h("span", {}, exact(episode.at)),
        h("span", { class: "quiet" }, timeOf(episode.at)),
        h(
          "span",
          { class: episode.pending ? "state-pending" : "state-flushed" },
          episode.pending ? "in the spool, not yet in the graph" : "in the graph",
        ),
      ),
      body(episode.kind, episode.text),
      episode.trouble && h("p", { class: "detail-note" }, `The rest can't be shown: ${episode.trouble}`),
      paths(episode.paths ?? []),
      facts(episode.facts),
      metadata(episode),
    );
    this.#place.scrollTop = scrolled;
    if (held) this.focus();
  }
}

function head(word, className = "") {
  return h(
    "header",
    { class: "detail-head" },
    h("h2", { class: className, tabindex: "-1" }, word),
    button("Close", () => adjust({ episode: null }), { class: "quiet-button", title: "Esc" }),
  );
}

function section(title, ...content) {
  return h("section", { class: "detail-section" }, h("h3", {}, title), content);
}

function paths(known) {
  if (!known.length) return null;
  return section(
    "Files",
    h(
      "ul",
      { class: "plain-list paths" },
      known.map((path) =>
        h(
          "li",
          {},
          h("a", { href: link("timeline", { path }), title: "Everything about this file" }, path),
          h("a", { class: "quiet-link", href: link("graph", { text: path }), title: "Show it in the graph" }, "graph"),
        ),
      ),
    ),
  );
}

function facts(known) {
  if (!known?.length) return null;
  return section("Facts made of it", h("ul", { class: "plain-list facts" }, known.map((fact) => h("li", {}, factLine(fact)))));
}

function metadata(episode) {
  const rows = Object.entries(episode.metadata ?? {}).filter(([name]) => !ELSEWHERE.has(name));
  return section(
    "About it",
    h(
      "dl",
      { class: "pairs" },
      pair("session", h("a", { href: link("timeline", { session: episode.session }) }, episode.session)),
      rows.map(([name, value]) => pair(name.replaceAll("_", " "), reading(name, value))),
      episode.tags?.length ? pair("tags", h("span", { class: "tags" }, episode.tags.map((tag) => h("span", { class: "tag" }, tag)))) : null,
      pair("source", episode.source ?? ""),
      pair("name", episode.name ?? ""),
      pair("event", episode.event_id ?? ""),
    ),
  );
}

function pair(name, value) {
  if (value === "") return null;
  return [h("dt", {}, name), h("dd", {}, value)];
}
