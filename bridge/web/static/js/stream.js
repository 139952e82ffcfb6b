// The live stream: what is told in it becomes the page's signals.
import { get } from "./api.js";
import { tell } from "./signals.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15_000;

/** Listens until `close`; comes back by itself when the bridge was away. */
export class Stream {
  #source = null;
  #timer = 0;
  #pause = FIRST_PAUSE_MS;
  #wasAway = false;

  open() {
    this.#source = new EventSource("/api/stream");
    this.#source.addEventListener("open", () => this.#opened());
    this.#source.addEventListener("error", () => this.#failed());
    for (const name of ["episode", "flushed", "reset", "status"]) {
      this.#source.addEventListener(name, (event) => heard(name, event.data));
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #opened() {
    this.#pause = FIRST_PAUSE_MS;
    tell("bridge-answers");
    if (this.#wasAway) tell("bridge-back");
    this.#wasAway = false;
  }

  #failed() {
    this.#wasAway = true;
    tell("bridge-gone");
    // The browser comes back by itself after a broken line, but not after a refusal.
    if (this.#source && this.#source.readyState !== EventSource.CLOSED) return;
    this.close();
    this.#timer = setTimeout(() => this.#again(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  /** A plain question first: only its answer can say that the bridge is there and wants a key. */
  async #again() {
    try {
      await get("/api/status");
      this.open();
    } catch (error) {
      if (error.status !== 401) this.#failed();
    }
  }
}

function heard(name, data) {
  let detail;
  try {
    detail = JSON.parse(data);
  } catch {
    return; // half a message: the next one is whole
  }
  if (detail !== null && typeof detail === "object") tell(`live-${name}`, detail);
}
