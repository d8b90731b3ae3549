// The read-only texts beside the form: their names, which Gradio ties to no text that has a copy button, and files of them.

import { element, setAttribute } from "./dom.js";

document.addEventListener("loom-download", (event) => download(event.detail));

/** Give each of them the label that stands above it. */
export function namePlanTexts() {
  for (const block of document.querySelectorAll("#toml, #command")) {
    const label = block.querySelector("[data-testid=block-info]")?.textContent.trim();
    const text = block.querySelector("textarea");
    if (label && text) setAttribute(text, "aria-label", label);
  }
}

/** Let the browser save the text as a file. */
function download({ text, name }) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/toml" }));
  element("a", { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}
