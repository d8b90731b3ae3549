// The page's language: the browser's, or the one chosen here, which the server learns from a cookie.

import { element } from "./dom.js";
import { texts } from "./texts.js";

const COOKIE = "loom-language"; // as in gui/texts.py
const YEAR_S = 365 * 24 * 3600;

/** A choice of the languages; the page loads anew in the chosen one, and the form comes back from its draft. */
export function languageSwitch() {
  const choices = Object.entries(texts.languages).map(([code, name]) =>
    element("option", { value: code, lang: code, selected: code === texts.language }, name),
  );
  return element("select", { class: "loom-language", "aria-label": texts.page.language, onchange: choose }, ...choices);
}

function choose(event) {
  document.cookie = `${COOKIE}=${event.target.value}; path=/; max-age=${YEAR_S}; SameSite=Strict`;
  location.reload();
}
