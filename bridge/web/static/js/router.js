// Where the page is: `#/view?name=value`. The project goes along from view to view.
export const VIEWS = ["timeline", "ask", "graph", "injections", "diagnostics"];

export function here() {
  const [, path, query = ""] = /^#?\/?([^?]*)\??(.*)$/s.exec(location.hash);
  const params = Object.fromEntries(new URLSearchParams(query));
  return { view: VIEWS.includes(path) ? path : VIEWS[0], params };
}

export function hash(view, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return `#/${view}${text ? `?${text}` : ""}`;
}

/** Go there; `replace` leaves no step in the history. */
export function go(view, params = {}, { replace = false } = {}) {
  const group = params.group ?? here().params.group;
  const wanted = hash(view, { group, ...params });
  if (wanted === location.hash) return;
  if (replace) {
    history.replaceState(null, "", wanted);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = wanted;
  }
}

/** Change some parameters of the place where we are; null takes one away. */
export function adjust(changes, options) {
  const { view, params } = here();
  go(view, { ...params, ...changes }, options);
}

/** A link's address in the project that is shown. */
export const link = (view, params = {}) => hash(view, { group: here().params.group, ...params });
