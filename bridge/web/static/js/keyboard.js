// Keys: `g` and a letter go to a view, the rest is the view's own.
import { toggleHelp } from "./help.js";
import { go } from "./router.js";

const PLACES = { t: "timeline", q: "ask", g: "graph", i: "injections", d: "diagnostics" };
const DOINGS = {
  "/": "search",
  j: "next",
  k: "previous",
  ArrowDown: "next",
  ArrowUp: "previous",
  Enter: "open",
  Escape: "close",
};
/** After so long a `g` is forgotten. */
const SEQUENCE_MS = 3000;

const TYPING = "input, textarea, select, [contenteditable]";
/** On these, Enter and the arrows already mean something. */
const OWN_KEYS = `${TYPING}, button, a, summary`;

/** `act(doing)` says whether the view did something. */
export function listenToKeys(act) {
  let began = -Infinity;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) {
      if (event.key === "?") toggleHelp();
      return;
    }
    if (event.target.matches?.(TYPING)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const second = event.timeStamp - began < SEQUENCE_MS;
    began = -Infinity;
    if (second && Object.hasOwn(PLACES, event.key)) go(PLACES[event.key]);
    else if (event.key === "g") began = event.timeStamp;
    else if (event.key === "?") toggleHelp();
    else if (!does(event, act)) return;
    event.preventDefault();
  });
}

function does(event, act) {
  if (!Object.hasOwn(DOINGS, event.key)) return false;
  const native = event.key === "Enter" || event.key.startsWith("Arrow");
  if (native && event.target.matches?.(OWN_KEYS)) return false;
  return act(DOINGS[event.key]);
}
