// How each type of thing looks: a colour that works in both themes, and a shape for those who don't
// see the colour.
import { h } from "../dom.js";

const LOOKS = new Map([
  ["File", { shape: "round-rectangle", token: "--type-file" }],
  ["Directory", { shape: "rectangle", token: "--type-directory" }],
  ["Symbol", { shape: "round-tag", token: "--type-symbol" }],
  ["Package", { shape: "hexagon", token: "--type-package" }],
  ["Command", { shape: "octagon", token: "--type-command" }],
  ["Test", { shape: "triangle", token: "--type-test" }],
  ["Error", { shape: "diamond", token: "--type-error" }],
  ["Session", { shape: "ellipse", token: "--type-session" }],
  ["Task", { shape: "round-pentagon", token: "--type-task" }],
  ["Decision", { shape: "star", token: "--type-decision" }],
  ["Preference", { shape: "star", token: "--type-decision" }],
  ["Commit", { shape: "vee", token: "--type-commit" }],
  ["Person", { shape: "ellipse", token: "--type-person" }],
]);
const OTHER = { shape: "ellipse", token: "--type-other" };

export const lookOf = (type) => LOOKS.get(type) ?? OTHER;
/** A class name for a type: only ever one of ours. */
export const typeClass = (type) => (LOOKS.has(type) ? `type-${type.toLowerCase()}` : "type-other");

/** A custom property as the colour it stands for in the theme that is shown. */
export class Colours {
  #probe = h("span", { class: "unseen", "aria-hidden": "true" });
  #known = new Map();

  constructor(place) {
    place.append(this.#probe);
  }

  forget() {
    this.#known.clear();
  }

  of(token) {
    if (!this.#known.has(token)) {
      this.#probe.style.color = `var(${token})`;
      this.#known.set(token, getComputedStyle(this.#probe).color);
    }
    return this.#known.get(token);
  }
}
