// What stands in the form's fields. Gradio tells when one has changed; the values are read from the page, as Gradio takes
// 20 ms to gather 140 of them. They are written through Gradio, which knows every kind of field.

const listeners = new Set();
let wanted = {};
let values = null;
let isWaiting = false;

document.addEventListener("loom-form", readSoon);
document.addEventListener("loom-form-write", (event) => {
  event.detail.values = facts().map(({ name }, index) => wanted[name] ?? event.detail.values[index]);
  wanted = {};
  readSoon();
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

/** The fields by option: a bool for a checkbox, the text that was typed for all others; null before they are there. */
export function formValues() {
  return values;
}

/** Be told of the fields now, once they are there, and at each change; returns a function that ends it. */
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

/** Read the fields for the first time, as soon as Gradio has mounted all of them. */
export function readFirst() {
  if (!values && facts().length && facts().every(({ name }) => inputOf(name))) read();
}

/** Gradio tells a change before the page shows it. */
function readSoon() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() =>
    setTimeout(() => {
      isWaiting = false;
      read();
    }),
  );
}

function read() {
  values = Object.fromEntries(facts().map(({ name }) => [name, valueOf(inputOf(name))]));
  for (const listener of listeners) listener(values);
}

/** Gradio's own input of a field; those that our scripts add stand behind it. */
function inputOf(name) {
  return document.getElementById(name)?.querySelector("input, textarea");
}

function valueOf(input) {
  return input?.type === "checkbox" ? input.checked : (input?.value ?? "");
}
