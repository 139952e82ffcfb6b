// Light or dark: the system's choice, unless the person has chosen here.
import { tell } from "./signals.js";

const system = matchMedia("(prefers-color-scheme: dark)");

function shown() {
  return document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
}

function remember(theme) {
  try {
    if (theme) localStorage.setItem("theme", theme);
    else localStorage.removeItem("theme");
  } catch {
    // Not kept beyond this visit, then.
  }
}

export function toggleTheme() {
  const wanted = shown() === "dark" ? "light" : "dark";
  const asSystem = wanted === (system.matches ? "dark" : "light");
  if (asSystem) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
  remember(asSystem ? null : wanted);
  tell("theme");
}

export function watchTheme(button) {
  button.addEventListener("click", toggleTheme);
  system.addEventListener("change", () => tell("theme"));
}
