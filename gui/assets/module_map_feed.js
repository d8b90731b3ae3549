// The module map of what stands in the form, asked of the server at each change that it depends on while it is in sight.

import { ask } from "./ask.js";
import { facts, formValues, setFields, subscribeToForm } from "./form_values.js";

const BESIDE_THE_NETWORK = ["dit", "dit_in_channels", "learning_rate"];

const PATIENCE_MS = 2000;

const listeners = new Set();
let clicks = Promise.resolve();
let map = null;
let asked = "";
let isAsking = false;

/** Be told of the map now, if it is known, and whenever it changes; returns a function that ends it. */
export function subscribeToMap(listener) {
  listeners.add(listener);
  if (map) listener(map);
  return () => listeners.delete(listener);
}

/**
 * Add these modules to what is trained or, where all are, take them out; the patterns are written into the form. A click
 * that follows at once goes on from what the one before has written.
 */
export function clickModules(modules) {
  const write = async () => {
    const lists = await ask("module_map/click", { values: askedValues(), modules });
    if (!lists) return;
    setFields(lists);
    await untilShown(lists);
  };
  clicks = clicks.then(write, write); // also after one that failed
  return clicks;
}

/** Resolves when the form's fields hold these values, or at the latest after PATIENCE_MS. */
function untilShown(fields) {
  return new Promise((resolve) => {
    const isShown = (values) => Object.entries(fields).every(([name, text]) => values[name] === text);
    const end = subscribeToForm((values) => isShown(values) && setTimeout(done));
    const late = setTimeout(done, PATIENCE_MS);
    function done() {
      clearTimeout(late);
      end();
      resolve();
    }
  });
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
    map = (await ask("module_map", { values })) ?? map;
    if (map) for (const listener of listeners) listener(map);
  } finally {
    isAsking = false;
  }
  refresh();
}

function askedValues() {
  const names = facts().filter(({ name, section }) => section === "network" || BESIDE_THE_NETWORK.includes(name));
  return Object.fromEntries(names.map(({ name }) => [name, formValues()[name] ?? ""]));
}
