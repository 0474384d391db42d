// What every page has: the theme, suggestions of ids, parts that load later, charts and the filter.
import { drawAll } from "./charts.js";
import { startFilter } from "./filter.js";

const root = document.documentElement;

function startTheme() {
  const button = document.querySelector("[data-theme-toggle]");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    button.setAttribute("aria-pressed", String(dark()));
    button.setAttribute("aria-label", dark() ? "Switch to light" : "Switch to dark");
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
    show();
    drawAll();
  });
  system.addEventListener("change", () => { show(); drawAll(); });
  show();
}

function startSuggestions() {
  const list = document.getElementById("found");
  for (const input of document.querySelectorAll("[data-suggest]")) {
    let wait = 0;
    let asked = new AbortController();
    input.addEventListener("input", () => {
      clearTimeout(wait);
      wait = setTimeout(async () => {
        asked.abort();
        asked = new AbortController();
        try {
          const answer = await fetch("/customers/suggest?q=" + encodeURIComponent(input.value), { signal: asked.signal });
          if (!answer.ok) return;
          list.replaceChildren(...(await answer.json()).map((id) => new Option(id, id)));
        } catch (e) {
          if (e.name !== "AbortError") throw e;
        }
      }, 150);
    });
  }
}

async function loadParts() {
  for (const part of document.querySelectorAll("[data-load]")) {
    const answer = await fetch(part.dataset.load);
    if (answer.ok) part.innerHTML = await answer.text();
  }
}

startTheme();
startSuggestions();
startFilter();
document.fonts.load("12px Inter").finally(drawAll);
loadParts();
