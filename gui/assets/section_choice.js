// On a narrow screen the sections are a drop-down; its entries tell what the list's marks show.

import { setAttribute, setText } from "./dom.js";
import { texts } from "./texts.js";

/** Bring the drop-down in line with the list of sections: what is open, what differs or is wrong, what is shown. */
export function followSections(buttons, { open }) {
  const choice = document.getElementById("section-choice");
  if (!choice) return;
  for (const button of buttons) {
    const entry = choice.querySelector(`option[value="${button.dataset.section}"]`);
    setText(entry, [button.textContent, mark(button)].filter(Boolean).join(" "));
    const isLeftOut = document.getElementById("loom-train").dataset.options === "basic" && !button.classList.contains("loom-basic");
    if (entry.hidden !== isLeftOut) entry.hidden = entry.disabled = isLeftOut;
  }
  if (choice.value !== open) choice.value = open;
  setAttribute(choice, "data-problem", choice.selectedOptions[0]?.textContent.includes("✕") ? "" : null);
}

function mark(button) {
  if (button.classList.contains("loom-has-problem")) return `✕ ${texts.train.navigation.problem}`;
  return button.classList.contains("loom-differs") ? `• ${texts.train.navigation.differs}` : "";
}
