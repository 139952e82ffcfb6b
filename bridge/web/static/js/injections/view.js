// The ledger: what the agent was given, when, how much, and whether the answer was cached.
import { Latest, aborted, get } from "../api.js";
import { button, h, show } from "../dom.js";
import { adjust, link } from "../router.js";
import { failed, notice, waiting } from "../states.js";
import { timeOf } from "../time.js";
import { count, plural } from "../words.js";

const PAGE = 50;
const TITLES = 200;
const OUTCOMES = new Map([
  ["injected", "searched"],
  ["cached", "from the cache"],
  ["empty", "nothing to say"],
]);

export function injectionsView(main, { projects }) {
  return new Injections(main, projects);
}

class Injections {
  #params = null;
  #next = null;
  #asking = false;
  #latest = new Latest();
  #heads = [];
  #sum = { tokens: 0, cached: 0 };
  #titles = new Map();

  constructor(main, projects) {
    this.projects = projects;
    this.note = h("p", { class: "page-note" });
    this.list = h("ol", { class: "ledger" });
    this.state = h("div", { class: "list-state" });
    this.end = h("div", { class: "ledger-end" });
    show(
      main,
      h(
        "div",
        { class: "page injections" },
        h("header", { class: "page-head" }, h("h1", {}, "Injections"), this.note),
        this.list,
        this.state,
        this.end,
      ),
    );
    this.seen = new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && this.#more(), {
      root: main.firstChild,
      rootMargin: "600px",
    });
  }

  update(params) {
    const before = this.#params;
    this.#params = params;
    if (before?.group !== params.group || before?.session !== params.session) this.#load();
  }

  key(doing) {
    if (doing !== "next" && doing !== "previous") return false;
    const at = this.#heads.indexOf(document.activeElement);
    const to = at < 0 ? 0 : Math.min(this.#heads.length - 1, Math.max(0, at + (doing === "next" ? 1 : -1)));
    this.#heads[to]?.focus();
    return true;
  }

  close() {
    this.#latest.stop();
    this.seen.disconnect();
  }

  async #load() {
    this.#next = null;
    this.#heads = [];
    this.#sum = { tokens: 0, cached: 0 };
    show(this.list);
    show(this.note);
    waiting(this.state, 8);
    await this.#naming();
    await this.#ask(null);
  }

  /** Sessions are called by what was asked in them. */
  async #naming() {
    try {
      const { sessions } = await get("/api/sessions", { group: this.#params.group, limit: TITLES });
      this.#titles = new Map(sessions.map((row) => [row.session, row.title]));
    } catch {
      // Then they keep their identifiers.
    }
  }

  #more() {
    if (this.#next && !this.#asking) this.#ask(this.#next);
  }

  async #ask(before) {
    this.#asking = true;
    const { group, session } = this.#params;
    try {
      const page = await get("/api/injections", { group, session, before, limit: PAGE }, this.#latest.signal());
      this.#next = page.next ?? null;
      this.#asking = false;
      this.#draw(page.injections);
    } catch (error) {
      if (aborted(error)) return;
      this.#asking = false;
      if (!this.#heads.length) failed(this.state, error, () => this.#load());
    }
  }

  #draw(injections) {
    for (const injection of injections) {
      this.#sum.tokens += injection.tokens;
      this.#sum.cached += injection.outcome === "cached" ? 1 : 0;
      this.list.append(this.#row(injection));
    }
    if (this.#heads.length) show(this.state);
    else notice(this.state, "Nothing was injected yet", ["What memory gives to the agent with a prompt is kept here, word for word."]);
    this.#summary();
    // Anew after each page: the end may be in sight still.
    this.seen.unobserve(this.end);
    this.seen.observe(this.end);
  }

  #summary() {
    const shown = this.#heads.length;
    const { session } = this.#params;
    show(
      this.note,
      shown > 0 && `${plural(shown, "injection")}${this.#next ? " so far" : ""}, ${count(this.#sum.tokens)} tokens, ${count(this.#sum.cached)} from the cache`,
      session && [" · one session · ", button("show all", () => adjust({ session: null }), { class: "link-button" })],
    );
  }

  #row(injection) {
    const id = `injection-${this.#heads.length}`;
    const cached = injection.outcome === "cached";
    const block = h("div", { class: "ledger-block", id, hidden: true });
    const head = h(
      "button",
      { type: "button", class: "ledger-head", "aria-expanded": "false", "aria-controls": id },
      timeOf(injection.at),
      h("span", { class: "ledger-opening", dir: "auto" }, firstItem(injection.block)),
      h("span", { class: "ledger-session", dir: "auto" }, this.#titles.get(injection.session) || injection.session),
      h("span", { class: "outcome", data: { outcome: cached ? "hit" : injection.outcome } }, OUTCOMES.get(injection.outcome) ?? injection.outcome),
      h("span", { class: "ledger-tokens" }, `${count(injection.tokens)} tokens`),
    );
    head.addEventListener("click", () => {
      const open = block.hidden;
      block.hidden = !open;
      head.setAttribute("aria-expanded", String(open));
      if (open && !block.firstChild) this.#fill(block, injection);
    });
    this.#heads.push(head);
    return h("li", { class: "ledger-row" }, head, block);
  }

  #fill(block, injection) {
    const project = this.projects.of(injection.group);
    show(
      block,
      injection.block ? h("pre", { class: "body block", tabindex: "0" }, injection.block) : h("p", { class: "quiet" }, "Nothing was given to this message."),
      h(
        "dl",
        { class: "pairs" },
        h("dt", {}, "project"),
        h("dd", {}, injection.project || project?.name || injection.group),
        h("dt", {}, "session"),
        h("dd", {}, h("a", { href: link("timeline", { session: injection.session }) }, this.#titles.get(injection.session) || injection.session), " ", h("a", { class: "quiet-link", href: link("injections", { session: injection.session }) }, "only this session")),
        h("dt", {}, "message"),
        h("dd", {}, injection.message),
      ),
    );
  }
}

/** What the block says first, past its fence and label. */
function firstItem(block) {
  const line = String(block ?? "").split("\n").find((each) => each.startsWith("- "));
  return line ? line.slice(2, 240) : block ? String(block).slice(0, 240) : "(nothing)";
}
