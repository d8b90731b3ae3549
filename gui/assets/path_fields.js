// Fields that hold a path: what lies there is told below them as it is typed, and a button opens the server's folders.

import { element } from "./dom.js";
import { chooseOnServer } from "./folder_dialog.js";
import { formValues, setFields, subscribeToForm } from "./form_values.js";
import { linesOf, tellPaths } from "./path_findings.js";
import { texts } from "./texts.js";

const PATIENCE_MS = 150;

const told = new Map(); // option -> the text that was checked last
let timer = null;

/** Give every path field that Gradio has mounted its button and its line. */
export function dressPaths() {
  for (const block of document.querySelectorAll(".loom-path:not(.loom-dressed-path)")) {
    if (block.querySelector("input, textarea")) dress(block);
  }
}

subscribeToForm(() => {
  clearTimeout(timer);
  timer = setTimeout(checkAll, PATIENCE_MS);
});

/** What lies at a path may be another since it was told: the field that is gone to is checked again. */
document.addEventListener("focusin", ({ target }) => {
  const block = target.closest(".loom-dressed-path");
  if (block && told.delete(block.id)) checkAll();
});

function dress(block) {
  block.classList.add("loom-dressed-path");
  const browse = element("button", { type: "button", class: "loom-link loom-browse", onclick: () => choose(block, browse) }, texts.form.paths.browse);
  block.append(element("p", { class: "loom-path-told", role: "status" }), browse);
}

async function choose(block, button) {
  const label = block.querySelector("[data-testid='block-info']")?.textContent.trim() ?? block.id;
  const isList = block.classList.contains("loom-list");
  const lines = linesOf(formValues()[block.id]);
  const wanted = { label, wantsFile: block.classList.contains("loom-wants-file"), wantsFolder: block.classList.contains("loom-wants-folder") };
  const chosen = await chooseOnServer({ ...wanted, path: lines.at(-1) ?? "" });
  if (chosen) setFields({ [block.id]: isList ? [...lines, chosen].join("\n") : chosen });
  button.focus();
}

function checkAll() {
  for (const block of document.querySelectorAll(".loom-dressed-path")) {
    const text = formValues()[block.id] ?? "";
    if (told.get(block.id) === text) continue;
    told.set(block.id, text);
    tellPaths(block.querySelector(".loom-path-told"), block.id, text, () => told.get(block.id) === text);
  }
}
