// The timeline: sessions on the left, what happened in the middle, one thing in full on the right.
import { Latest, aborted, get } from "../api.js";
import { button, h, show } from "../dom.js";
import { adjust } from "../router.js";
import { on } from "../signals.js";
import { failed, notice, waiting } from "../states.js";
import { VirtualList } from "../virtual-list.js";
import { count } from "../words.js";
import { Detail } from "./detail.js";
import { buildRow, heightOf, isDay, keyOf, readFonts } from "./episode-row.js";
import { Episodes, fits } from "./episodes.js";
import { Filters } from "./filters.js";
import { Sessions, sessionHead, titleOf } from "./sessions.js";

const PAGE = 100;
/** Whoever scrolls on wants more at once. */
const OLDER = 300;

export function timelineView(main) {
  return new Timeline(main);
}

class Timeline {
  #params = {};
  #episodes = new Episodes();
  #latest = new Latest();
  #asking = false;
  #fresh = 0;
  #arriving = [];
  #frame = 0;
  #off = [];
  #headed = null;

  constructor(main) {
    this.parts = layout(main, () => this.#toggleSessions());
    const { list, pill } = this.parts;
    readFonts(list);
    this.filters = new Filters(this.parts.filters);
    this.sessions = new Sessions(this.parts.sessions, () => this.#head());
    this.detail = new Detail(this.parts.detail);
    this.list = new VirtualList(list, {
      label: "Episodes, newest first",
      prefix: "episode",
      keyOf,
      heightOf,
      build: (row) => buildRow(row, list.clientWidth),
      selectable: (row) => !isDay(row),
      selected: (row) => row.uuid === this.#params.episode,
      onOpen: (row) => this.#open(row),
      onNearEnd: () => this.#more(),
      onTop: (top) => top && this.#seen(),
      complete: () => !this.#episodes.next,
    });
    pill.addEventListener("click", () => this.list.toTop());
    this.#off.push(
      on("live-episode", (episode) => this.#arrived(episode)),
      on("live-flushed", (note) => this.#flushed(note)),
      on("live-reset", () => this.#catchUp()),
      on("bridge-back", () => this.#catchUp()),
    );
  }

  update(params) {
    const before = this.#params;
    this.#params = params;
    this.filters.update(params);
    this.sessions.update(params);
    this.#head();
    const same = ["group", "session", "kind", "path", "text"].every((name) => before[name] === params[name]);
    if (!same) {
      this.#toggleSessions(false);
      this.#load();
    }
    if (params.episode) this.#openDetail(params.episode, same && before.episode !== params.episode);
    else if (this.detail.isOpen) this.#closeDetail();
    this.list.mark(params.episode ?? this.list.activeItem?.uuid ?? null);
  }

  key(doing) {
    if (doing === "search") this.filters.focus();
    else if (doing === "next" || doing === "previous") this.#move(doing === "next" ? 1 : -1);
    else if (doing === "open") this.list.open();
    else if (doing === "close") return this.#escape();
    return true;
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.#off.forEach((off) => off());
    this.#latest.stop();
    this.filters.close();
    this.sessions.close();
    this.detail.close();
    this.list.destroy();
  }

  // What is shown

  async #load() {
    this.#episodes.clear();
    this.#arriving = [];
    this.#seen();
    this.list.set([], { toTop: true });
    waiting(this.parts.state, 9);
    await this.#ask(null, { toTop: true });
  }

  #more() {
    if (this.#episodes.next && !this.#asking) this.#ask(this.#episodes.next);
  }

  async #ask(before, how) {
    this.#asking = true;
    try {
      const page = await get("/api/episodes", this.#query(before), this.#latest.signal());
      this.#episodes.older(page, before);
      this.#asking = false;
      this.#draw(how);
    } catch (error) {
      if (aborted(error)) return;
      this.#asking = false;
      if (!this.#episodes.length) failed(this.parts.state, error, () => this.#load());
    }
  }

  #query(before) {
    const { group, session, kind, path, text } = this.#params;
    return { group, session, kind, path, text, before, limit: before ? OLDER : PAGE };
  }

  #draw(how) {
    const { kind, path, text, session } = this.#params;
    if (this.#episodes.length) show(this.parts.state);
    else if (kind || path || text) {
      const clear = () => adjust({ kind: null, path: null, text: null });
      notice(this.parts.state, "Nothing matches", ["No episode fits this search."], button("Clear the filters", clear, { class: "quiet-button" }));
    } else {
      notice(this.parts.state, session ? "Nothing happened here yet" : "Nothing has been remembered yet", [
        "What OpenCode does appears here the moment it happens.",
      ]);
    }
    this.list.set(this.#episodes.rows(), how);
  }

  #head() {
    const { session } = this.#params;
    const row = session ? this.sessions.of(session) : null;
    this.parts.sessionHead.hidden = !session;
    if (session && (row !== this.#headed || !row)) sessionHead(this.parts.sessionHead, row, session);
    this.#headed = row;
    this.parts.toggle.textContent = session ? (row ? titleOf(row) : session) : "All sessions";
  }

  // What happens meanwhile

  #arrived(episode) {
    if (!fits(this.#params, episode)) return;
    this.#arriving.push(episode);
    this.#frame ||= requestAnimationFrame(() => this.#insertNow());
  }

  /** Once a frame, however many came in it. */
  #insertNow() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#arriving.length) return;
    const top = this.list.atTop;
    const added = this.#episodes.newer(this.#arriving.splice(0));
    this.#draw();
    if (!added) return;
    if (top) this.list.toTop();
    else this.#pill(this.#fresh + added);
  }

  #flushed(note) {
    if (note.group !== this.#params.group) return;
    this.#insertNow();
    if (this.#episodes.flushed(note)) this.list.set(this.#episodes.rows());
    const { episode } = this.#params;
    if (note.uuids?.includes(episode)) this.detail.open(note.group, episode, this.#episodes.get(episode));
  }

  /** Something was missed: the newest page again. What a whole page can't bridge begins anew. */
  async #catchUp() {
    try {
      const page = await get("/api/episodes", this.#query(null), this.#latest.signal());
      if (page.next && !page.episodes.some((episode) => this.#episodes.get(episode.uuid))) {
        this.#load();
        return;
      }
      const added = this.#episodes.newer(page.episodes);
      this.#draw();
      if (added && !this.list.atTop) this.#pill(this.#fresh + added);
    } catch {
      // It is gone again: the banner says so.
    }
  }

  #pill(fresh) {
    this.#fresh = fresh;
    this.parts.pill.hidden = !fresh;
    this.parts.pill.textContent = `${count(fresh)} new ↑`;
  }

  #seen() {
    if (this.#fresh) this.#pill(0);
  }

  // What the person does

  #move(step) {
    this.list.focus();
    const item = this.list.move(step);
    if (item && this.detail.isOpen) adjust({ episode: item.uuid }, { replace: true });
  }

  #open(row) {
    adjust({ episode: row.uuid }, { replace: this.detail.isOpen });
  }

  #openDetail(uuid, focus) {
    const follows = this.detail.isOpen;
    this.parts.root.classList.add("detail-open");
    this.detail.open(this.#params.group, uuid, this.#episodes.get(uuid));
    if (focus && !follows) this.detail.focus();
  }

  #closeDetail() {
    this.detail.close();
    this.parts.root.classList.remove("detail-open");
    this.list.focus();
  }

  #escape() {
    if (this.parts.root.classList.contains("sessions-open")) this.#toggleSessions();
    else if (this.detail.isOpen) adjust({ episode: null });
    else return false;
    return true;
  }

  #toggleSessions(wanted) {
    const open = this.parts.root.classList.toggle("sessions-open", wanted);
    this.parts.toggle.setAttribute("aria-expanded", String(open));
  }
}

function layout(main, toggled) {
  const parts = {
    sessions: h("aside", { class: "sessions", "aria-label": "Sessions", id: "sessions" }),
    toggle: button("All sessions", toggled, {
      class: "sessions-toggle",
      "aria-expanded": "false",
      "aria-controls": "sessions",
    }),
    filters: h("div", { class: "filters", role: "search" }),
    sessionHead: h("div", { class: "session-head", hidden: true }),
    list: h("div", { class: "episodes-list" }),
    state: h("div", { class: "list-state" }),
    pill: h("button", { type: "button", class: "new-pill", hidden: true, "aria-live": "polite" }),
    detail: h("aside", { class: "detail", "aria-label": "Episode", hidden: true }),
  };
  const middle = h(
    "section",
    { class: "episodes", "aria-label": "Episodes" },
    parts.toggle,
    parts.filters,
    parts.sessionHead,
    h("div", { class: "episodes-place" }, parts.list, parts.state, parts.pill),
  );
  parts.root = h("div", { class: "timeline" }, parts.sessions, middle, parts.detail);
  show(main, parts.root);
  return parts;
}
