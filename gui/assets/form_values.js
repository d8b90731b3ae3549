// What stands in the form's fields, as Gradio has it: told at each change, and written back through Gradio.

const listeners = new Set();
let wanted = {};
let values = null;

document.addEventListener("loom-form", (event) => take(event.detail));
document.addEventListener("loom-form-write", (event) => {
  event.detail.values = facts().map(({ name }, index) => wanted[name] ?? event.detail.values[index]);
  wanted = {};
  take(event.detail.values);
});

/** What the page knows of each option, in the order of the form: name, label, section and so on. */
export function facts() {
  const place = document.getElementById("loom-facts");
  if (place && place !== facts.place) {
    facts.place = place;
    facts.all = JSON.parse(place.dataset.facts);
  }
  return facts.all ?? [];
}

/** The fields by option: a bool for a checkbox, the text that was typed for all others; null before they are known. */
export function formValues() {
  return values;
}

/** Be told of the fields now, once they are known, and at each change; returns a function that ends it. */
export function subscribeToForm(listener) {
  listeners.add(listener);
  if (values) listener(values);
  return () => listeners.delete(listener);
}

/** Put these values into their fields. */
export function setFields(changes) {
  wanted = { ...wanted, ...changes };
  document.getElementById("write-form")?.click();
}

/** Ask Gradio for the fields, which it tells by itself only when one of them changes. */
export function readForm() {
  document.getElementById("read-form")?.click();
}

function take(told) {
  values = Object.fromEntries(facts().map(({ name }, index) => [name, told[index]]));
  for (const listener of listeners) listener(values);
}
