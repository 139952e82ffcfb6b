// The bridge's HTTP API. Tells the page when the bridge is gone, is back, or wants a key.
import { tell } from "./signals.js";

const PATIENCE_MS = 30_000;

/** What the bridge said no to, or that it said nothing (`status` 0). */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

export const aborted = (error) => error?.name === "AbortError";

async function call(method, path, { query = {}, body, signal } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const limits = [AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])];
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.any(limits),
      cache: "no-store",
    });
  } catch (error) {
    if (aborted(error)) throw error;
    tell("bridge-gone");
    throw new ApiError(0, "unreachable", "the bridge does not answer");
  }
  tell("bridge-answers");
  if (response.status === 401 && path !== "/api/session") tell("locked");
  return read(response);
}

async function read(response) {
  let answer = null;
  try {
    answer = await response.json();
  } catch (error) {
    if (aborted(error)) throw error;
    if (response.ok && response.status !== 204) {
      throw new ApiError(response.status, "unreadable", "the bridge's answer can't be read");
    }
  }
  if (!response.ok) {
    const told = answer?.error ?? {};
    throw new ApiError(
      response.status,
      told.code ?? "failed",
      told.message ?? `the bridge answered ${response.status}`,
    );
  }
  return answer ?? {};
}

export const get = (path, query, signal) => call("GET", path, { query, signal });
export const post = (path, body, signal) => call("POST", path, { body: body ?? {}, signal });

/** Makes sure that only the newest of a place's requests is heard: the ones before are aborted. */
export class Latest {
  #controller = null;

  signal() {
    this.stop();
    this.#controller = new AbortController();
    return this.#controller.signal;
  }

  stop() {
    this.#controller?.abort();
    this.#controller = null;
  }
}
