// Values of the last few minutes, while the page is open, and the line that shows them.
import { svg } from "../dom.js";

const MOST = 90;
/** Values that fill the width; with fewer the line is shorter. */
const FEW = 12;
const WIDTH = 96;
const HEIGHT = 22;

export class Series {
  #values = new Map();

  add(name, value) {
    if (!Number.isFinite(value)) return;
    const values = this.#values.get(name) ?? [];
    values.push(value);
    if (values.length > MOST) values.shift();
    this.#values.set(name, values);
  }

  of(name) {
    return this.#values.get(name) ?? [];
  }
}

/** A small line; a flat one when nothing has changed. */
export function sparkline(values, label) {
  const picture = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": label });
  if (values.length < 2) return picture;
  const low = Math.min(...values);
  // A change of a hundredth is none: it shall not look like a mountain.
  const span = Math.max(...values) - low > Math.abs(low) * 0.01 ? Math.max(...values) - low : 0;
  const step = (WIDTH - 3) / (Math.max(values.length, FEW) - 1);
  const y = (value) => (span ? HEIGHT - 3 - ((value - low) / span) * (HEIGHT - 6) : HEIGHT / 2);
  const points = values.map((value, i) => `${(1.5 + i * step).toFixed(1)},${y(value).toFixed(1)}`);
  picture.append(
    svg("polyline", { points: points.join(" "), class: "spark-line" }),
    svg("circle", { cx: (1.5 + (values.length - 1) * step).toFixed(1), cy: y(values.at(-1)).toFixed(1), r: 1.8, class: "spark-dot" }),
  );
  return picture;
}
