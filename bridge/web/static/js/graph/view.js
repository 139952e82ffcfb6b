// The graph: begin at a file or an error, go from thing to thing, and look at any time.
import { Latest, aborted, get } from "../api.js";
import { button, h, show } from "../dom.js";
import { adjust } from "../router.js";
import { on } from "../signals.js";
import { failed, notice } from "../states.js";
import { plural } from "../words.js";
import { bundled, labels } from "./bundle.js";
import { openCanvas } from "./canvas.js";
import { Entries } from "./entries.js";
import { legend } from "./legend.js";
import { Panel } from "./panel.js";
import { Slider } from "./slider.js";

const LIMIT = 150;
const TITLES = 200;

export function graphView(main) {
  return new Graph(main);
}

class Graph {
  #params = {};
  #graph = null;
  #trail = [];
  #titles = new Map();
  #hidden = new Set();
  #latest = new Latest();
  #canvas = null;
  #closed = false;
  #off = [];

  constructor(main) {
    this.parts = layout(main);
    const { parts } = this;
    this.entries = new Entries(parts.entries, (uuid) => this.#go(uuid));
    this.slider = new Slider(parts.slider, (at) => adjust({ at }, { replace: true }));
    this.panel = new Panel(parts.panel, { center: (uuid) => this.#go(uuid), close: () => this.#unpick() });
    parts.back.addEventListener("click", () => this.#back());
    parts.fit.addEventListener("click", () => this.#canvas?.fit());
    parts.toggle.addEventListener("click", () => this.#toggleEntries());
    this.sized = new ResizeObserver(() => this.#canvas?.resize());
    this.sized.observe(parts.canvas);
    this.#off.push(on("theme", () => this.#canvas?.restyle()));
    // Listened to by the tests: where a node is drawn is nowhere in the document.
    parts.root.positionOf = (uuid) => this.#canvas?.positionOf(uuid);
    parts.root.census = () => this.#canvas?.census;
  }

  async update(params) {
    const before = this.#params;
    this.#params = params;
    if (before.group !== params.group) await this.#enter();
    else if (params.center && before.center === params.center && before.at === params.at) return;
    if (this.#closed || this.#params !== params) return;
    if (params.text) this.#find(params.text);
    else if (params.center) this.#load();
    else if (before.group === params.group) this.#begin(await this.entries.load(params.group));
  }

  key(doing) {
    if (doing === "search") {
      this.#toggleEntries(true);
      this.entries.focus();
    } else if (doing === "next" || doing === "previous") this.entries.move(doing === "next" ? 1 : -1);
    else if (doing === "open") this.entries.open();
    else if (doing === "close") return this.#escape();
    return true;
  }

  close() {
    this.#closed = true;
    this.#off.forEach((off) => off());
    this.#latest.stop();
    this.entries.close();
    this.slider.close();
    this.sized.disconnect();
    this.#canvas?.close();
  }

  /** Another project: nothing of the last one stays. */
  async #enter() {
    const { group } = this.#params;
    this.#trail = [];
    this.#graph = null;
    this.#titles = new Map();
    this.panel.close();
    this.slider.reset();
    this.#naming(group);
    const first = await this.entries.load(group);
    if (this.#closed || this.#params.group !== group) return;
    if (!this.#params.center && !this.#params.text) this.#begin(first);
  }

  /** Sessions are called by what was asked in them. */
  async #naming(group) {
    try {
      const { sessions } = await get("/api/sessions", { group, limit: TITLES });
      this.#titles = new Map(sessions.map((row) => [row.session, row.title]));
      if (this.#graph && this.#params.group === group) this.#draw({ keep: true });
    } catch {
      // Then they keep their identifiers.
    }
  }

  #begin(first) {
    if (first === undefined) return;
    if (first) adjust({ center: first }, { replace: true });
    else notice(this.parts.state, "No graph yet", ["Facts appear here after the first flush."]);
  }

  async #find(text) {
    const { group } = this.#params;
    try {
      const { nodes } = await get("/api/graph", { group, text, limit: 40 }, this.#latest.signal());
      const found = nodes.find((node) => node.name === text) ?? nodes[0];
      if (found) adjust({ text: null, center: found.uuid }, { replace: true });
      else notice(this.parts.state, "Not in the graph", [`Nothing is known about ${text} yet.`]);
    } catch (error) {
      if (!aborted(error)) failed(this.parts.state, error, () => this.#find(text));
    }
  }

  async #load() {
    const { group, center, at } = this.#params;
    this.parts.root.classList.add("is-loading");
    try {
      const query = { group, center, at, limit: LIMIT };
      const [answer] = await Promise.all([get("/api/graph", query, this.#latest.signal()), this.#opened()]);
      if (this.#closed) return;
      const keep = this.#graph?.center === center;
      this.#take(answer, center);
      this.slider.span(answer.first_at, answer.last_at);
      this.slider.set(at ? Number(at) : null);
      this.#draw({ keep });
      this.#describe(keep);
    } catch (error) {
      if (!aborted(error) && !this.#closed) failed(this.parts.state, error, () => this.#load());
    } finally {
      this.parts.root.classList.remove("is-loading");
    }
  }

  async #opened() {
    if (this.#canvas) return;
    const canvas = await openCanvas(this.parts.canvas, {
      node: (uuid) => this.#tapped(uuid),
      edge: (bundle) => this.#tappedLine(bundle),
      nothing: () => this.#unpick(),
    });
    if (this.#closed || this.#canvas) canvas?.close();
    else this.#canvas = canvas;
  }

  #take(answer, center) {
    const byUuid = new Map(answer.nodes.map((node) => [node.uuid, node]));
    const edges = answer.edges.filter((edge) => byUuid.has(edge.source) && byUuid.has(edge.target));
    this.#graph = { ...answer, center, byUuid, edges, bundles: bundled(edges), titles: this.#titles };
  }

  #draw(how) {
    const graph = this.#graph;
    graph.titles = this.#titles;
    graph.labels = labels(graph.nodes, this.#titles);
    if (graph.nodes.length) show(this.parts.state);
    else notice(this.parts.state, "Nothing here at that time", ["Move the time to the right."]);
    this.#canvas.draw({ ...graph, hidden: this.#hidden }, how);
    legend(this.parts.legend, graph.nodes, this.#hidden, () => this.#draw({ keep: true }));
    this.entries.center(graph.center);
    this.parts.back.disabled = !this.#trail.length;
    const named = graph.labels.get(graph.center);
    this.parts.toggle.textContent = named ?? "Choose where to begin";
    this.parts.canvas.setAttribute(
      "aria-label",
      `Graph around ${named ?? "nothing"}: ${plural(graph.nodes.length, "thing")}, ${plural(graph.edges.length, "fact")}. The panel lists them.`,
    );
    this.parts.note.textContent = graph.truncated ? `Only the nearest ${LIMIT} things are shown.` : "";
  }

  /** The centre is what the panel is about, unless a standing picture has another thing chosen. */
  #describe(keep) {
    const node = this.#graph.byUuid.get(this.#graph.center);
    const room = matchMedia("(min-width: 861px)").matches;
    if (!node) this.panel.close();
    else if (this.panel.isOpen || (!keep && room)) this.#about(node);
  }

  #about(node) {
    this.panel.node(node, this.#graph, node.uuid === this.#graph.center);
    this.#canvas.pick(`n:${node.uuid}`);
  }

  #tapped(uuid) {
    if (uuid === this.#graph.center) this.#about(this.#graph.byUuid.get(uuid));
    else this.#go(uuid);
  }

  #tappedLine(bundle) {
    if (!bundle) return;
    this.panel.bundle(bundle, this.#graph);
    this.#canvas.pick(bundle.id);
  }

  #unpick() {
    this.panel.close();
    this.#canvas?.pick(null);
  }

  #go(uuid) {
    if (uuid === this.#params.center) {
      const node = this.#graph?.byUuid.get(uuid);
      if (node) this.#about(node);
    } else {
      if (this.#params.center) this.#trail.push(this.#params.center);
      adjust({ center: uuid, text: null });
    }
    this.#toggleEntries(false);
  }

  #back() {
    const center = this.#trail.pop();
    if (center) adjust({ center }, { replace: true });
  }

  #toggleEntries(wanted) {
    const open = this.parts.root.classList.toggle("entries-open", wanted);
    this.parts.toggle.setAttribute("aria-expanded", String(open));
  }

  #escape() {
    if (this.parts.root.classList.contains("entries-open")) this.#toggleEntries(false);
    else if (this.panel.isOpen) this.#unpick();
    else return false;
    return true;
  }
}

function layout(main) {
  const parts = {
    entries: h("aside", { class: "entries", "aria-label": "Where to begin", id: "entries" }),
    toggle: h("button", { type: "button", class: "sessions-toggle", "aria-expanded": "false", "aria-controls": "entries" }, "Choose where to begin"),
    canvas: h("div", { class: "canvas", role: "img", "aria-label": "Graph" }),
    state: h("div", { class: "list-state" }),
    legend: h("div", { class: "legend", role: "group", "aria-label": "Types" }),
    note: h("p", { class: "graph-note", role: "status" }),
    back: button("Back", () => {}, { class: "quiet-button", disabled: true }),
    fit: button("Fit", () => {}, { class: "quiet-button" }),
    slider: h("div", { class: "slider-place" }),
    panel: h("aside", { class: "detail graph-panel", "aria-label": "About it", hidden: true }),
  };
  const middle = h(
    "section",
    { class: "graph-middle", "aria-label": "Graph" },
    parts.toggle,
    h("div", { class: "graph-tools" }, parts.back, parts.fit, parts.note),
    h("div", { class: "canvas-place" }, parts.canvas, parts.state),
    parts.legend,
    parts.slider,
  );
  parts.root = h("div", { class: "graph" }, parts.entries, middle, parts.panel);
  show(main, parts.root);
  return parts;
}
