// What is known about the node or the line that was chosen.
import { button, h, show } from "../dom.js";
import { factLine, relationWord } from "../facts.js";
import { reading } from "../reading.js";
import { link } from "../router.js";
import { plural } from "../words.js";
import { fullName } from "./bundle.js";
import { typeClass } from "./palette.js";

const MOST_FACTS = 60;

export class Panel {
  #place;
  #do;

  /** `act`: {center(uuid), node(uuid), close()}. */
  constructor(place, act) {
    this.#place = place;
    this.#do = act;
  }

  get isOpen() {
    return !this.#place.hidden;
  }

  close() {
    this.#place.hidden = true;
    show(this.#place);
  }

  /** A node, and the facts of the picture that it is part of. */
  node(node, graph, isCenter) {
    const own = graph.bundles
      .filter((bundle) => bundle.source === node.uuid || bundle.target === node.uuid)
      .sort((a, b) => a.closed - b.closed || (a.relation < b.relation ? -1 : 1));
    const facts = own.flatMap((bundle) => bundle.facts.map((fact) => ({ fact, bundle }))).slice(0, MOST_FACTS);
    this.#show(
      this.#head(node.type, typeClass(node.type)),
      h("p", { class: "panel-name", dir: "auto" }, fullName(node, graph.titles)),
      h(
        "p",
        { class: "panel-actions" },
        !isCenter && button("Centre", () => this.#do.center(node.uuid), { class: "quiet-button" }),
        node.type === "File" && h("a", { class: "quiet-button", href: link("timeline", { path: node.name }) }, "In the timeline"),
        node.type === "Session" && h("a", { class: "quiet-button", href: link("timeline", { session: node.name }) }, "In the timeline"),
      ),
      attributes(node),
      h("h3", {}, facts.length ? plural(node.degree ?? facts.length, "fact") : "No facts in this picture"),
      h("ul", { class: "plain-list facts" }, facts.map(({ fact, bundle }) => this.#fact(fact, bundle, node, graph))),
    );
  }

  /** A line: all the facts that it stands for. */
  bundle(bundle, graph) {
    const [source, target] = [bundle.source, bundle.target].map((uuid) => graph.byUuid.get(uuid));
    this.#show(
      this.#head(relationWord(bundle.relation), "type-other"),
      h("p", { class: "panel-ends" }, this.#end(source, graph), h("span", { class: "quiet" }, relationWord(bundle.relation)), this.#end(target, graph)),
      h("h3", {}, plural(bundle.facts.length, "fact")),
      h("ul", { class: "plain-list facts" }, bundle.facts.slice(0, MOST_FACTS).map((fact) => h("li", {}, factLine(fact)))),
    );
  }

  #show(...content) {
    this.#place.hidden = false;
    show(this.#place, content);
    this.#place.scrollTop = 0;
  }

  #head(word, className) {
    return h(
      "header",
      { class: "detail-head" },
      h("h2", { class: `panel-type ${className}` }, h("span", { class: "type-dot", "aria-hidden": "true" }), word),
      button("Close", () => this.#do.close(), { class: "quiet-button", title: "Esc" }),
    );
  }

  #fact(fact, bundle, node, graph) {
    const other = graph.byUuid.get(bundle.source === node.uuid ? bundle.target : bundle.source);
    return h("li", {}, factLine(fact), other && this.#end(other, graph));
  }

  #end(node, graph) {
    if (!node) return h("span", { class: "quiet" }, "something that is not in this picture");
    return button(
      [h("span", { class: `type-dot ${typeClass(node.type)}`, "aria-hidden": "true" }), graph.labels.get(node.uuid) ?? node.name],
      () => this.#do.center(node.uuid),
      { class: "end", title: `Centre on ${node.type}` },
    );
  }
}

function attributes(node) {
  const known = Object.entries(node.attributes ?? {}).filter(([, value]) => value !== null && value !== "");
  if (!known.length) return null;
  return h(
    "dl",
    { class: "pairs" },
    known.map(([name, value]) => [
      h("dt", {}, name.replaceAll("_", " ")),
      h("dd", {}, reading(name, value)),
    ]),
  );
}
