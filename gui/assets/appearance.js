// Light or dark: as the system says, or as the user chose on this browser.

const KEY = "loom-appearance";
export const APPEARANCES = ["system", "light", "dark"];
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

/** Keep the page's appearance as chosen, whatever Gradio makes of it. */
export function keepAppearance() {
  systemIsDark.addEventListener("change", apply);
  new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  apply();
}

/** "system", "light" or "dark". */
export function chosenAppearance() {
  const stored = localStorage.getItem(KEY);
  return APPEARANCES.includes(stored) ? stored : "system";
}

/** Go on to the next choice and remember it. */
export function switchAppearance() {
  chooseAppearance(APPEARANCES[(APPEARANCES.indexOf(chosenAppearance()) + 1) % APPEARANCES.length]);
}

/** Take one of APPEARANCES and remember it. */
export function chooseAppearance(name) {
  localStorage.setItem(KEY, name);
  apply();
}

export function isDark() {
  const chosen = chosenAppearance();
  return chosen === "system" ? systemIsDark.matches : chosen === "dark";
}

/** Call the listener whenever light becomes dark or dark light; returns a function that ends it. */
export function onAppearanceChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let shown;

function apply() {
  const dark = isDark();
  if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
  if (shown === dark) return;
  shown = dark;
  for (const listener of listeners) listener(dark);
}
