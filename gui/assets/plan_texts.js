// The names of the read-only texts beside the form: Gradio ties no label to a text that has a copy button.

import { setAttribute } from "./dom.js";

/** Give each of them the label that stands above it. */
export function namePlanTexts() {
  for (const block of document.querySelectorAll("#toml, #command")) {
    const label = block.querySelector("[data-testid=block-info]")?.textContent.trim();
    const text = block.querySelector("textarea");
    if (label && text) setAttribute(text, "aria-label", label);
  }
}
