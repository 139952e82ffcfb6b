// Elements from data. Whatever comes from a memory gets in as a text node and in no other way.

// C0 controls but tab and line feed, DEL, C1, zero-width and direction marks: what can hide or
// reorder text. Shown as what they are, so that a memory can't read as something it is not.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** `text` with what is invisible in it made visible. */
export function plain(text) {
  return String(text ?? "")
    .replace(/\r\n?/g, "\n")
    .replace(UNSEEN, (found) => `‹U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}›`);
}

function fill(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(plain(child)));
  }
  return element;
}

function dress(element, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, heard] of Object.entries(value)) element.addEventListener(event, heard);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else if (name === "value" || name === "checked" || name === "hidden") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  return element;
}

/** An HTML element: `h("p", { class: "quiet", on: { click } }, "text", other)`. */
export function h(tag, attributes, ...children) {
  return fill(dress(document.createElement(tag), attributes), children);
}

/** The same in SVG. */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  return fill(dress(element, attributes), children);
}

/** Let `parent` hold exactly these. */
export function show(parent, ...children) {
  parent.replaceChildren();
  return fill(parent, children);
}

export function button(label, pressed, attributes) {
  return h("button", { type: "button", ...attributes, on: { click: pressed } }, label);
}
