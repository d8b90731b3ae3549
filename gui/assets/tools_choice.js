// Which LoRA file the Tools tab looks into, where it was chosen elsewhere on the page.

import { openTab } from "./tabs.js";
import { texts } from "./texts.js";

let look = null;
let waiting = ""; // a file that was chosen before the tab was there

/** Go to Tools and look into this file. */
export function lookInto(path) {
  if (look) look(path);
  else waiting = path;
  openTab(texts.tabs.tools);
}

/** Call the listener with the path of each file that is chosen; returns a function that ends it. */
export function onFileChosen(listener) {
  look = listener;
  if (waiting) listener(waiting);
  waiting = "";
  return () => (look = null);
}
