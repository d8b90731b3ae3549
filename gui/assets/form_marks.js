// What differs from the loaded preset, from the defaults if none is: a dot at the field and its section, and a way back.

import { ask } from "./ask.js";
import { element, setAttribute, setText } from "./dom.js";
import { facts, formValues, setFields, subscribeToForm } from "./form_values.js";
import { fill, fillCount, texts } from "./texts.js";

let preset = null;
let tellMarked = () => {};

/** onMarked: called after each time that the marks were set. */
export function startMarks({ onMarked }) {
  tellMarked = onMarked;
  subscribeToForm(mark);
  document.addEventListener("loom-preset", read);
  read();
}

async function read() {
  preset = (await ask("form/preset")) ?? preset;
  if (formValues()) mark(formValues());
}

function mark(values) {
  if (!preset) return;
  const differing = facts().filter(({ name }) => !isSame(values[name], preset.fields[name]));
  const names = new Set(differing.map(({ name }) => name));
  for (const { name } of facts()) markField(name, names.has(name));
  const sections = new Set(differing.map(({ section }) => section));
  for (const button of document.querySelectorAll("#loom-sections-nav [data-section]")) {
    button.classList.toggle("loom-differs", sections.has(button.dataset.section));
  }
  tellCount(differing.length);
  tellMarked();
}

/** Whether two fields mean the same: 1e-4 and 0.0001, a list with and without blank lines. */
function isSame(value, other) {
  if (typeof value === "boolean" || typeof other === "boolean") return value === other;
  const [one, two] = [value, other].map((text) => String(text ?? "").trim());
  if (one === two) return true;
  if (one && two && Number(one) === Number(two)) return true;
  const [lines, others] = [one, two].map((text) => text.split("\n").map((line) => line.trim()).filter(Boolean));
  return lines.join("\n") === others.join("\n");
}

function markField(name, isDifferent) {
  const block = document.getElementById(name);
  if (!block) return;
  block.classList.toggle("loom-differs", isDifferent);
  const button = block.querySelector(".loom-reset");
  if (!isDifferent) return void button?.remove();
  const label = block.querySelector("[data-testid='block-info'], .label-text")?.textContent.trim() ?? name;
  const told = fill(texts.form.marks.reset, { label, value: inWords(preset.fields[name]) });
  const reset = button ?? block.appendChild(resetButton(name));
  setAttribute(reset, "aria-label", told);
  setAttribute(reset, "title", told);
}

function resetButton(name) {
  const onclick = () => {
    setFields({ [name]: preset.fields[name] });
    giveFocus(document.getElementById(name));
  };
  return element("button", { type: "button", class: "loom-reset", onclick }, "↺");
}

/** The button goes with the difference, so the focus goes to the field; of a drop-down, which would open, to its block. */
function giveFocus(block) {
  const input = block.querySelector(".loom-rows input") ?? block.querySelector("input, textarea");
  const isDropDown = input.hasAttribute("role");
  if (isDropDown) block.tabIndex = -1;
  (isDropDown ? block : input).focus();
}

function inWords(value) {
  if (typeof value === "boolean") return value ? texts.form.marks.on : texts.form.marks.off;
  return value ? value.split("\n").join(" · ") : texts.form.marks.empty;
}

/** Below the sections: which preset counts, and how many fields differ from it. */
function tellCount(count) {
  const place = document.getElementById("loom-differing");
  if (!place) return;
  const about = preset.title ? fill(texts.form.marks.preset, { title: preset.title }) : texts.form.marks.defaults;
  setText(place, `${about} · ${count ? fillCount(texts.form.marks.differ, count) : texts.form.marks.none_differ}`);
}
