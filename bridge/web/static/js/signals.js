// What one part of the page tells the others: a name and a detail.
const hub = new EventTarget();

export function tell(name, detail) {
  hub.dispatchEvent(new CustomEvent(name, { detail }));
}

/** Listen; gives the function that stops listening. */
export function on(name, heard) {
  const listener = (event) => heard(event.detail);
  hub.addEventListener(name, listener);
  return () => hub.removeEventListener(name, listener);
}
