// A quiet line while the bridge does not answer; it goes as soon as the bridge is back.
import { on } from "./signals.js";

const PATIENCE_MS = 700;

export function watchConnection(banner) {
  let timer = 0;
  on("bridge-gone", () => {
    if (timer || !banner.hidden) return;
    timer = setTimeout(() => {
      timer = 0;
      banner.textContent = "The bridge does not answer. What you see stays; it reconnects by itself.";
      banner.hidden = false;
    }, PATIENCE_MS);
  });
  on("bridge-answers", () => {
    clearTimeout(timer);
    timer = 0;
    banner.hidden = true;
  });
}
