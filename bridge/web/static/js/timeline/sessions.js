// The sessions of the project, newest first, and which of them the timeline is narrowed to.
import { Latest, aborted, get } from "../api.js";
import { button, h, plain, show } from "../dom.js";
import { adjust } from "../router.js";
import { on } from "../signals.js";
import { failed, notice, waiting } from "../states.js";
import { timeOf } from "../time.js";
import { VirtualList } from "../virtual-list.js";
import { count, plural } from "../words.js";
import { pendingMark } from "./episode-row.js";

const PAGE = 50;
const TYPED_MS = 220;
const LIVE_MS = 900;
const ALL = { session: "", all: true };

export class Sessions {
  #group = "";
  #chosen = "";
  #text = "";
  #known = [];
  #next = null;
  #asking = false;
  #latest = new Latest();
  #timers = {};
  #list;
  #state;
  #off = [];
  #told;

  /** `told` is called when the sessions have changed. */
  constructor(place, told) {
    this.#told = told;
    const host = h("div", { class: "sessions-list" });
    this.#state = h("div", { class: "list-state" });
    const field = h("input", {
      type: "search",
      class: "field",
      placeholder: "Find a session",
      "aria-label": "Find a session",
      autocomplete: "off",
    });
    field.addEventListener("input", () => {
      this.#later("typed", TYPED_MS, () => {
        this.#text = field.value.trim();
        this.#load();
      });
    });
    show(place, h("div", { class: "sessions-head" }, h("h2", {}, "Sessions"), field), host, this.#state);
    this.#list = new VirtualList(host, {
      label: "Sessions",
      prefix: "session",
      keyOf: (row) => row.session || "all",
      heightOf: (row, width) => (row.all ? 42 : isLong(row, width) ? 86 : 66),
      build: (row) => sessionRow(row, host.clientWidth),
      selectable: () => true,
      selected: (row) => row.session === this.#chosen,
      onOpen: (row) => adjust({ session: row.session || null, episode: null }),
      onNearEnd: () => this.#more(),
      complete: () => !this.#next,
    });
    this.#off.push(
      on("live-episode", (episode) => episode.group === this.#group && this.#freshen()),
      on("live-flushed", (note) => note.group === this.#group && this.#freshen()),
      on("bridge-back", () => this.#freshen()),
    );
  }

  of(session) {
    return this.#known.find((row) => row.session === session) ?? null;
  }

  update(params) {
    const moved = this.#group !== params.group;
    this.#group = params.group;
    this.#chosen = params.session ?? "";
    if (moved) this.#load();
    else this.#draw();
  }

  close() {
    Object.values(this.#timers).forEach(clearTimeout);
    this.#off.forEach((off) => off());
    this.#latest.stop();
    this.#list.destroy();
  }

  async #load() {
    this.#known = [];
    this.#next = null;
    this.#list.set([], { toTop: true });
    waiting(this.#state, 5);
    await this.#ask(null);
  }

  #more() {
    if (this.#next && !this.#asking) this.#ask(this.#next);
  }

  async #ask(before) {
    this.#asking = true;
    try {
      const query = { group: this.#group, text: this.#text, before, limit: PAGE };
      const page = await get("/api/sessions", query, this.#latest.signal());
      const known = new Set(this.#known.map((row) => row.session));
      this.#known = [...this.#known, ...page.sessions.filter((row) => !known.has(row.session))];
      this.#next = page.next ?? null;
      this.#asking = false;
      this.#draw();
    } catch (error) {
      if (aborted(error)) return;
      this.#asking = false;
      if (!this.#known.length) failed(this.#state, error, () => this.#load());
    }
  }

  /** The newest page again, a little later: counts and pending marks have changed. */
  #freshen() {
    if (this.#timers.live) return;
    this.#later("live", LIVE_MS, async () => {
      this.#timers.live = 0;
      try {
        const page = await get("/api/sessions", { group: this.#group, text: this.#text, limit: PAGE });
        const newest = new Set(page.sessions.map((row) => row.session));
        this.#known = [...page.sessions, ...this.#known.filter((row) => !newest.has(row.session))];
        this.#next ??= this.#known.length === page.sessions.length ? page.next : null;
        this.#draw();
      } catch {
        // The banner says that the bridge is gone; what is shown stays.
      }
    });
  }

  #later(name, ms, then) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(then, ms);
  }

  #draw() {
    if (this.#known.length) show(this.#state);
    else if (this.#text) notice(this.#state, "No such session");
    else notice(this.#state, "No sessions yet");
    this.#list.set(this.#known.length && !this.#text ? [ALL, ...this.#known] : this.#known);
    this.#told();
  }
}

/** A title that takes two lines. */
const isLong = (row, width) => titleOf(row).length * 7.7 > width - 40;

function sessionRow(row, width) {
  if (row.all) return h("div", { class: "session session-all" }, "All sessions");
  return h(
    "div",
    { class: isLong(row, width) ? "session is-long" : "session" },
    h("span", { class: "session-title", dir: "auto", title: plain(titleOf(row)) }, titleOf(row)),
    h(
      "span",
      { class: "session-meta" },
      timeOf(row.last_at),
      h("span", {}, plural(row.events, "event")),
      row.pending > 0 && h("span", { class: "session-pending" }, pendingMark(true), `${count(row.pending)}`),
    ),
  );
}

export const titleOf = (row) => row.title || "Untitled session";

/** A summary begins with what was asked, and that is the title already. */
function beyondTitle(summary) {
  const [first, ...rest] = summary.split("\n");
  return first.startsWith("Asked: ") && rest.length ? rest.join("\n") : summary;
}

/** Above the episodes: what the chosen session was. */
export function sessionHead(place, row, session) {
  show(
    place,
    h(
      "div",
      { class: "session-head-title" },
      h("h2", { dir: "auto" }, row ? titleOf(row) : session),
      button("All sessions", () => adjust({ session: null, episode: null }), { class: "quiet-button" }),
    ),
    row?.summary && h("p", { class: "session-summary", dir: "auto", tabindex: "0" }, beyondTitle(row.summary)),
    row?.tags?.length > 0 &&
      h("p", { class: "tags" }, row.tags.map((tag) => h("span", { class: "tag" }, tag))),
  );
}
