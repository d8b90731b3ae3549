// Settings out of a file into the form, by the import of the Train tab, which shows first what would change.

import { openTab } from "./tabs.js";
import { texts } from "./texts.js";

const MOST_FRAMES = 300;

/** Open the import with this path and let it read; the answer says whether that could be done. */
export async function importIntoForm(path) {
  openTab(texts.tabs.train);
  if (!(await appearing("#import-open"))) return false;
  if (!fieldOf("import-path")) document.querySelector("#import-open").click();
  if (!(await appearing("#import-path textarea, #import-path input"))) return false;
  type("import-text", ""); // a pasted text would come first
  type("import-path", path);
  await nextFrame();
  await nextFrame(); // Gradio takes over what was typed before it is asked to read it
  document.querySelector("#import-read").click();
  return true;
}

function fieldOf(id) {
  return document.querySelector(`#${id} textarea, #${id} input`);
}

/** Gradio's fields take a value like a typed one. */
function type(id, text) {
  const field = fieldOf(id);
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Whether there is such an element that is shown, waited for over some frames. */
async function appearing(selector) {
  for (let frame = 0; frame < MOST_FRAMES; frame += 1) {
    if (document.querySelector(selector)?.offsetParent) return true;
    await nextFrame();
  }
  return false;
}

function nextFrame() {
  return new Promise((resolve) => requestAnimationFrame(resolve));
}
