// Fields that a choice puts out of use: greyed, with the reason below them. They can still be filled in.

import { element, setAttribute, setText } from "./dom.js";
import { facts, subscribeToForm } from "./form_values.js";
import { fill, texts } from "./texts.js";

export function startNeeds() {
  subscribeToForm((values) => {
    for (const { name, needs } of facts()) {
      const counts = ({ where }) => !where || isMet(where, values[where.option]);
      const unmet = needs.find((need) => counts(need) && !isMet(need, values[need.option]));
      const block = needs.length && document.getElementById(name);
      if (block) grey(block, unmet ? reason(unmet, values[unmet.option]) : "");
    }
  });
}

/** As `Need.is_met` in backend/config/needs.py, on fields, of which one that holds a list has it line by line. */
function isMet({ values, is_not }, value) {
  const text = String(value ?? "").trim();
  const lines = text.split("\n").map((line) => line.trim().toLowerCase());
  const has = () => values.some((wanted) => lines.includes(wanted.toLowerCase()));
  const holds = values.length ? has() : value !== false && text !== "" && text !== "0";
  return holds !== is_not;
}

function reason({ option, values, is_not }, value) {
  const label = labelOf(option);
  if (values.length && value !== "") return fill(texts.form.needs.is_value, { label, value });
  if (typeof value === "boolean") return fill(value ? texts.form.needs.is_on : texts.form.needs.is_off, { label });
  return fill(is_not ? texts.form.needs.is_given : texts.form.needs.is_empty, { label });
}

/** The label that stands at the field, in the page's language. */
function labelOf(option) {
  const shown = document.querySelector(`#${option} :is([data-testid='block-info'], .label-text)`);
  return shown?.textContent.trim() || facts().find(({ name }) => name === option).label;
}

function grey(block, why) {
  block.classList.toggle("loom-idle", Boolean(why));
  const id = `${block.id}-idle`;
  let note = document.getElementById(id);
  if (!why) {
    note?.remove();
  } else {
    note ??= block.appendChild(element("p", { id, class: "loom-idle-why" }));
    setText(note, why);
  }
  for (const input of block.querySelectorAll("input, textarea")) {
    const others = (input.getAttribute("aria-describedby") ?? "").split(" ").filter((other) => other && other !== id);
    setAttribute(input, "aria-describedby", [...others, ...(why ? [id] : [])].join(" ") || null);
  }
}
