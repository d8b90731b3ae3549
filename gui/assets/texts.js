// Every text that the page's scripts show, in the page's language; gui/theme.py writes them into the page.

import { formatCount } from "./numbers.js";

export const texts = JSON.parse(document.getElementById("loom-texts").textContent);

/** Of the texts `one` and `other` that for this number, with {count} and each other {name} filled in. */
export function fillCount(choices, count, values = {}) {
  return fill(count === 1 ? choices.one : choices.other, { count: formatCount(count), ...values });
}

/** The text with each {name} replaced by its value. */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
