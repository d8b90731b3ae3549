// Every text that the page's scripts show, in the page's language; gui/theme.py writes them into the page.

export const texts = JSON.parse(document.getElementById("loom-texts").textContent);

/** The text with each {name} replaced by its value. */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
