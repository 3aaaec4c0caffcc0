// Light or dark: the cookie lets the server write the theme on <html>, so no page flashes. No cookie: as the system says.
import { forget, remember } from "./reader.js";

const NAMES = { light: "calm-light", dark: "calm-dark" };

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === NAMES.dark : matchMedia("(prefers-color-scheme: dark)").matches;
}

function mark() {
  for (const button of document.querySelectorAll("[data-theme-toggle]")) button.setAttribute("aria-pressed", String(isDark()));
}

export function startTheme() {
  mark();
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const next = isDark() ? "light" : "dark";
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    document.documentElement.dataset.theme = NAMES[next];
    if (next === system) forget("theme");
    else remember("theme", next);
    mark();
  });
}
