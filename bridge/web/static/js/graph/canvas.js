// The picture of the graph: Cytoscape behind a few words.
import { Colours, lookOf } from "./palette.js";
import { beside, hopsFrom, neighbours, settled } from "./layout.js";
import { styleOf } from "./style.js";

const LIBRARY = "/static/vendor/cytoscape-3.34.4.esm.min.js";
const PADDING = 42;
/** Below the one a label can't be read; above the other a dot looks like a button. */
const SMALLEST = 0.5;
const LARGEST = 1.25;

/** `heard`: {node(uuid), edge(bundle), nothing()}. The library is fetched with the first picture. */
export async function openCanvas(place, heard) {
  const { default: cytoscape } = await import(LIBRARY);
  // Who has left meanwhile wants no picture any more.
  return place.isConnected ? new Canvas(cytoscape, place, heard) : null;
}

class Canvas {
  #cy;
  #colours;
  #places = new Map();
  #center = null;
  #bundles = new Map();
  #picked = null;
  #moved = false;
  #calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  constructor(cytoscape, place, heard) {
    this.#colours = new Colours(place.parentElement);
    this.#cy = cytoscape({
      container: place,
      style: styleOf(this.#colours, this.#calm),
      minZoom: 0.15,
      maxZoom: 2.5,
      boxSelectionEnabled: false,
      autounselectify: true,
    });
    this.#cy.on("tap", "node", (event) => heard.node(event.target.data("uuid")));
    this.#cy.on("tap", "edge", (event) => heard.edge(this.#bundles.get(event.target.id())));
    this.#cy.on("tap", (event) => event.target === this.#cy && heard.nothing());
    this.#cy.on("dragpan scrollzoom pinchzoom dragfree", () => {
      this.#moved = true;
    });
    this.#cy.on("mouseover", "node, edge", (event) => this.#point(event.target, place));
    this.#cy.on("mouseout", "node, edge", () => this.#point(null, place));
  }

  /** Show this graph. With `keep` what stands in the picture stays where it is. */
  draw({ nodes, bundles, center, labels, hidden }, { keep = false } = {}) {
    const stay = keep && center === this.#center && this.#places.size > 0;
    this.#center = center;
    this.#bundles = new Map(bundles.map((bundle) => [bundle.id, bundle]));
    const shown = nodes.filter((node) => !hidden.has(node.type) || node.uuid === center);
    const there = new Set(shown.map((node) => node.uuid));
    const lines = bundles.filter((bundle) => there.has(bundle.source) && there.has(bundle.target));
    const places = stay ? this.#standing(shown, lines) : settled(shown, lines, center, labels, this.#wide());
    const hops = hopsFrom(center, shown, neighbours(shown, lines));
    this.#cy.batch(() => {
      this.#cy.elements().remove();
      this.#cy.add(shown.map((node) => this.#node(node, labels, places.get(node.uuid), hops.get(node.uuid))));
      this.#cy.add(lines.map(edgeOf));
    });
    this.#places = places;
    if (!stay) this.#view();
    this.pick(this.#picked);
  }

  fit() {
    this.#moved = false;
    this.#cy.animate({ fit: { padding: PADDING }, duration: this.#calm ? 0 : 220 });
  }

  /** Mark one node or line; null marks none. */
  pick(id) {
    this.#picked = id;
    this.#cy.elements(".picked").removeClass("picked");
    if (id) this.#cy.getElementById(id).addClass("picked");
  }

  restyle() {
    this.#colours.forget();
    this.#cy.batch(() => {
      this.#cy.nodes().forEach((node) => node.data("colour", this.#colours.of(lookOf(node.data("type")).token)));
    });
    this.#cy.style(styleOf(this.#colours, this.#calm));
  }

  /** The place has another size: the whole picture again, unless the person has moved it. */
  resize() {
    this.#cy.resize();
    if (!this.#moved) this.#view();
  }

  /** How many things and lines are drawn, and where a node is; for the tests. */
  get census() {
    return { nodes: this.#cy.nodes().length, edges: this.#cy.edges().length };
  }

  positionOf(uuid) {
    return this.#cy.getElementById(`n:${uuid}`).renderedPosition();
  }

  close() {
    this.#cy.destroy();
  }

  #node(node, labels, position, hop) {
    const look = lookOf(node.type);
    const center = node.uuid === this.#center;
    const size = Math.min(34, 15 + 3 * Math.sqrt(node.degree ?? 1)) + (center ? 8 : 0);
    return {
      group: "nodes",
      data: {
        id: `n:${node.uuid}`,
        uuid: node.uuid,
        type: node.type,
        label: labels.get(node.uuid),
        shape: look.shape,
        colour: this.#colours.of(look.token),
        size: hop > 1 ? size * 0.8 : size,
        far: hop > 1,
        center,
      },
      position: { ...position },
    };
  }

  #standing(nodes, bundles) {
    const places = new Map(this.#places);
    this.#cy.nodes().forEach((node) => places.set(node.data("uuid"), { ...node.position() }));
    for (const node of nodes) {
      if (!places.has(node.uuid)) places.set(node.uuid, beside(node, bundles, places));
    }
    return places;
  }

  /** All of it in sight, and not larger than life; in a small place at least what is near. */
  #view() {
    this.#moved = false;
    this.#cy.fit(undefined, PADDING);
    if (this.#cy.zoom() < SMALLEST) this.#cy.fit(this.#cy.nodes("[!far]"), PADDING / 2);
    if (this.#cy.zoom() > LARGEST) {
      this.#cy.zoom(LARGEST);
      this.#cy.center(this.#cy.nodes("[!far]"));
    }
  }

  #wide() {
    const { clientWidth, clientHeight } = this.#cy.container();
    return Math.min(1.7, Math.max(0.55, clientWidth / (clientHeight || 1)));
  }

  #point(target, place) {
    place.classList.toggle("is-pointing", Boolean(target));
    this.#cy.batch(() => {
      this.#cy.elements().removeClass("faint near");
      if (!target) return;
      const near = target.isNode() ? target.closedNeighborhood() : target.union(target.connectedNodes());
      near.addClass("near");
      this.#cy.elements().not(near).addClass("faint");
    });
  }
}

function edgeOf(bundle) {
  return {
    group: "edges",
    data: { id: bundle.id, source: `n:${bundle.source}`, target: `n:${bundle.target}`, label: bundle.label, closed: bundle.closed },
  };
}
