// The page: lets the person in, then shows the view that the address names.
import { get } from "./api.js";
import { watchConnection } from "./connection.js";
import { enter } from "./entrance.js";
import { watchHealth } from "./health.js";
import { watchHelp } from "./help.js";
import { listenToKeys } from "./keyboard.js";
import { Projects } from "./projects.js";
import { go, hash, here } from "./router.js";
import { on } from "./signals.js";
import { notice } from "./states.js";
import { Stream } from "./stream.js";
import { watchTheme } from "./theme.js";
import { refreshTimes } from "./time.js";
import { askView } from "./ask/view.js";
import { diagnosticsView } from "./diagnostics/view.js";
import { graphView } from "./graph/view.js";
import { injectionsView } from "./injections/view.js";
import { timelineView } from "./timeline/view.js";

const VIEWS = {
  timeline: { title: "Timeline", open: timelineView },
  ask: { title: "Ask", open: askView },
  graph: { title: "Graph", open: graphView },
  injections: { title: "Injections", open: injectionsView },
  diagnostics: { title: "Diagnostics", open: diagnosticsView },
};
const TIMES_MS = 20_000;

const main = document.getElementById("main");
const projects = new Projects(document.getElementById("project"));
const stream = new Stream();
let current = { name: null, view: null };

function route() {
  if (!document.getElementById("locked").hidden) return;
  const { view: name, params } = here();
  const project = projects.choose(params.group);
  if (project && params.group !== project.group) {
    // So that every address, copied or linked to, says whose it is.
    go(name, { ...params, group: project.group }, { replace: true });
    return;
  }
  document.title = `${VIEWS[name].title} · ${project?.name ?? "Memory"}`;
  document.body.dataset.view = name;
  for (const link of document.querySelectorAll(".views a")) {
    const own = link.dataset.view === name;
    if (own) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    link.hash = hash(link.dataset.view, { group: project?.group });
  }
  if (!project && name !== "diagnostics") {
    leave();
    notice(main, "Nothing has been remembered yet", [
      "As soon as OpenCode works in a project, what happens there appears here.",
    ]);
    return;
  }
  if (current.name !== name || !current.view) {
    leave();
    main.replaceChildren();
    main.scrollTop = 0;
    current = { name, view: VIEWS[name].open(main, { projects }) };
  }
  current.view.update({ ...params, group: project?.group ?? "" });
}

function leave() {
  current.view?.close();
  current = { name: null, view: null };
}

function lock(why) {
  stream.close();
  leave();
  for (const id of ["main", "bar"]) document.getElementById(id).hidden = true;
  document.getElementById("locked").hidden = false;
  if (why) document.getElementById("locked-why").textContent = why;
  document.title = "Memory";
}

async function start() {
  watchTheme(document.getElementById("theme"));
  watchConnection(document.getElementById("banner"));
  const refused = await enter();
  on("locked", () => lock(refused ?? ""));
  try {
    await projects.load();
  } catch (error) {
    if (error.status !== 401) {
      main.hidden = false;
      notice(main, "The bridge does not answer", ["This page tries again by itself."]);
      setTimeout(() => location.reload(), 4000);
    }
    return;
  }
  for (const id of ["main", "bar"]) document.getElementById(id).hidden = false;
  watchHelp(document.getElementById("help-dialog"), document.getElementById("help"));
  watchHealth(document.getElementById("health"));
  listenToKeys((key) => current.view?.key?.(key) ?? false);
  document.getElementById("skip").addEventListener("click", () => main.focus());
  projects.onChoice((group) => go(here().view, { group }));
  projects.onFirst(route);
  addEventListener("hashchange", route);
  route();
  stream.open();
  // Every two seconds the stream tells the rest; until then the header shall not say nothing.
  get("/api/status").then((status) => watchHealth.show(status), () => {});
  setInterval(refreshTimes, TIMES_MS);
}

start();
