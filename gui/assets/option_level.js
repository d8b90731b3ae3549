// Basic or all: which options the Train form shows. The choice is kept in the browser.

const KEPT = "loom-options";

/** Show what was chosen last, the basic ones at first. Does nothing until the form is there, and once for each form. */
export function restoreOptionLevel() {
  const form = document.getElementById("loom-train");
  if (form && buttons().length && !form.dataset.options) showOptions(localStorage.getItem(KEPT) ?? "basic");
}

/** Show the options that most people change ("basic"), or "all". */
export function showOptions(level) {
  const form = document.getElementById("loom-train");
  form.dataset.options = level;
  for (const button of buttons()) button.setAttribute("aria-pressed", String(button.dataset.options === level));
  localStorage.setItem(KEPT, level);
  const current = document.querySelector("#loom-sections-nav [aria-current=true]");
  if (level === "basic" && current && !current.classList.contains("loom-basic")) document.querySelector("#loom-sections-nav [data-section]").click();
}

/** Make sure that an option's field is shown. */
export function revealOption(block) {
  if (!block.offsetParent && !block.classList.contains("loom-basic")) showOptions("all");
}

function buttons() {
  return document.querySelectorAll("#loom-option-level [data-options]");
}
