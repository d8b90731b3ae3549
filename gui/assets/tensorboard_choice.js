// Which runs TensorBoard shows: all, or some that were chosen elsewhere on the page.

import { get } from "./request.js";
import { openTab } from "./tabs.js";
import { texts } from "./texts.js";

const listeners = new Set();

/** Go to TensorBoard and show these runs only. */
export function showInTensorBoard(runs) {
  chooseRuns(runs);
  openTab(texts.tabs.tensorboard);
}

/** Show these runs only; all of them if there are none. */
export function chooseRuns(runs) {
  for (const listener of listeners) listener(runs);
}

/** Call the listener with the folder names of the runs whenever others are chosen; returns a function that ends it. */
export function onRunsChosen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The filter of TensorBoard's run list that shows these runs only: a regular expression, "" for all. */
export async function filterOf(runs) {
  if (!runs.length) return "";
  const { names } = await get(`logs/names?${runs.map((run) => `run=${encodeURIComponent(run)}`).join("&")}`);
  const escaped = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return escaped.length ? `^(${escaped.join("|")})(/|$)` : "^$"; // no event yet: none is shown rather than all
}
