// The module map of what stands in the form, asked of the server at each change that it depends on while it is in sight.

import { facts, formValues, setFields, subscribeToForm } from "./form_values.js";

const BESIDE_THE_NETWORK = ["dit", "dit_in_channels", "learning_rate"];

const listeners = new Set();
let map = null;
let asked = "";
let isAsking = false;

/** Be told of the map now, if it is known, and whenever it changes; returns a function that ends it. */
export function subscribeToMap(listener) {
  listeners.add(listener);
  if (map) listener(map);
  return () => listeners.delete(listener);
}

/** Add these modules to what is trained or, where all are, take them out; the patterns are written into the form. */
export async function clickModules(modules) {
  setFields(await post("module_map/click", { values: askedValues(), modules }));
}

subscribeToForm(() => refresh());
document.addEventListener("loom-section", () => refresh());

/** Ask for the map of what stands in the form now; while an answer is waited for, only the last change counts. */
async function refresh() {
  if (!formValues() || !document.getElementById("loom-module-map")?.offsetParent) return;
  const values = askedValues();
  if (isAsking || JSON.stringify(values) === asked) return;
  isAsking = true;
  asked = JSON.stringify(values);
  try {
    map = await post("module_map", { values });
    for (const listener of listeners) listener(map);
  } finally {
    isAsking = false;
  }
  refresh();
}

function askedValues() {
  const names = facts().filter(({ name, section }) => section === "network" || BESIDE_THE_NETWORK.includes(name));
  return Object.fromEntries(names.map(({ name }) => [name, formValues()[name] ?? ""]));
}

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
