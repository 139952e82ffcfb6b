// What a place says while it has nothing to show: waiting, empty, failed.
import { button, h, show } from "./dom.js";

/** A short message in the middle of a place. */
export function notice(place, title, lines = [], action = null) {
  show(
    place,
    h(
      "div",
      { class: "notice" },
      h("h2", {}, title),
      lines.map((line) => h("p", {}, line)),
      action && h("p", {}, action),
    ),
  );
}

/** Grey lines where rows will be; they appear only when the wait is noticeable (CSS). */
export function waiting(place, rows = 6) {
  const lines = Array.from({ length: rows }, () => h("span", { class: "waiting-row" }));
  show(place, h("div", { class: "waiting", role: "status" }, h("span", { class: "unseen" }, "Loading"), lines));
}

/** That something failed, in the bridge's words, and the way to try again. */
export function failed(place, error, again) {
  notice(place, "That did not work", [error.message], again && button("Try again", again, { class: "quiet-button" }));
}
