// The projects that have a memory, and which of them is shown.
import { get } from "./api.js";
import { h, show } from "./dom.js";
import { on } from "./signals.js";

const AGAIN_MS = 1500;

function remembered() {
  try {
    return localStorage.getItem("project");
  } catch {
    return null;
  }
}

function remember(group) {
  try {
    localStorage.setItem("project", group);
  } catch {
    // The newest project is shown next time, then.
  }
}

export class Projects {
  #select;
  #known = [];
  #chosen = "";
  #first = () => {};
  #timer = 0;

  constructor(select) {
    this.#select = select;
    on("live-episode", ({ group }) => {
      if (group && !this.of(group)) this.#soon();
    });
    on("bridge-back", () => this.#soon());
  }

  async load() {
    const empty = !this.#known.length;
    const { projects = [] } = await get("/api/projects");
    this.#known = projects;
    this.#draw();
    if (empty && projects.length) this.#first();
  }

  of(group) {
    return this.#known.find((project) => project.group === group) ?? null;
  }

  /** The project of this group, else the one shown last, else the newest; null when there is none. */
  choose(group) {
    const project =
      this.of(group) ?? this.of(this.#chosen) ?? this.of(remembered()) ?? this.#known[0] ?? null;
    if (project) {
      this.#chosen = project.group;
      this.#select.value = project.group;
      if (group === project.group) remember(group);
    }
    return project;
  }

  onChoice(chosen) {
    this.#select.addEventListener("change", () => chosen(this.#select.value));
  }

  /** Called once there is a project where there was none. */
  onFirst(came) {
    this.#first = came;
  }

  #soon() {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.load().catch(() => {});
    }, AGAIN_MS);
  }

  #draw() {
    const options = this.#known.map((project) =>
      h("option", { value: project.group, title: project.root }, project.name || project.group),
    );
    show(this.#select, options.length ? options : h("option", { value: "" }, "no project yet"));
    this.#select.disabled = options.length < 2;
    if (this.of(this.#chosen)) this.#select.value = this.#chosen;
  }
}
