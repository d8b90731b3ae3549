// Fields that hold a list, one item a line, as rows: add, remove, reorder, paste many. The text area stays the field.

import { element, setAttribute, setText } from "./dom.js";
import { subscribeToForm } from "./form_values.js";
import { subscribeToMap } from "./module_map_feed.js";
import { fill, fillCount, texts } from "./texts.js";

/** Give every list field that Gradio has mounted its rows. */
export function dressLists() {
  for (const block of document.querySelectorAll(".loom-list")) {
    const area = block.querySelector("textarea");
    if (area && !block.querySelector(".loom-rows")) dress(block, area);
  }
}

/** The items of a list field. */
export function listLines(option) {
  return linesOf(areaOf(option).value);
}

/** Put the cursor into a row of a list, at a place in its text. */
export function goToRow(option, row, position) {
  const input = document.querySelectorAll(`#${option} .loom-rows input`)[row];
  input?.focus();
  if (input && position !== null) input.setSelectionRange(position, position);
}

subscribeToForm(showAll);
subscribeToMap(showCounts);

function dress(block, area) {
  const label = block.querySelector("label");
  const rows = element("ol", {
    class: "loom-rows",
    "aria-label": labelOf(block),
    oninput: (event) => write(block, { isTyping: event.target }),
    onkeydown: (event) => onKey(event, block),
    onpaste: (event) => onPaste(event, block),
    onfocusout: () => setTimeout(() => show(block)),
  });
  setAttribute(area, "tabindex", "-1");
  setAttribute(area, "aria-hidden", "true");
  label?.addEventListener("click", (event) => {
    if (event.target === area) return;
    event.preventDefault();
    rows.querySelector("input")?.focus();
  });
  block.classList.add("loom-dressed");
  block.append(rows);
  show(block);
}

function showAll() {
  for (const block of document.querySelectorAll(".loom-dressed")) show(block);
}

/** Show the items of the field, and one empty row to add to; what is being typed stays as it is. */
function show(block) {
  const area = block.querySelector("textarea");
  const lines = linesOf(area.value);
  const inputs = inputsOf(block);
  const isSame = inputs.length && linesOf(inputs.map((input) => input.value).join("\n")).join("\n") === lines.join("\n");
  const hasGap = inputs.slice(0, -1).some((input) => !input.value.trim() && input !== document.activeElement);
  if (isSame && !hasGap && !inputs.at(-1).value.trim()) return;
  const focused = inputs.indexOf(document.activeElement);
  block.querySelector(".loom-rows").replaceChildren(...[...lines, ""].map((line) => row(block, line)));
  nameRows(block);
  if (focused >= 0) inputsOf(block)[Math.min(focused, lines.length)].focus();
}

function row(block, line) {
  const move = element("button", { type: "button", class: "loom-row-move", onpointerdown: (event) => drag(event, block) }, "⠿");
  const input = element("input", { type: "text", spellcheck: "false", autocomplete: "off" });
  input.value = line;
  const remove = element("button", { type: "button", class: "loom-row-remove", onclick: (event) => removeRow(event, block) }, "×");
  return element("li", {}, move, input, element("span", { class: "loom-row-about" }), remove);
}

/** Numbers, names and which buttons there are follow the order of the rows. */
function nameRows(block) {
  const rows = [...block.querySelectorAll(".loom-rows > li")];
  const label = labelOf(block);
  rows.forEach((item, index) => {
    const isLast = index === rows.length - 1;
    const values = { label, number: index + 1 };
    const [move, input, , remove] = item.children;
    setAttribute(input, "aria-label", fill(isLast ? texts.form.rows.new_item : texts.form.rows.item, values));
    setAttribute(input, "placeholder", isLast ? texts.form.rows.add : null);
    setAttribute(move, "aria-label", fill(texts.form.rows.move, values));
    setAttribute(move, "title", texts.form.rows.move_hint);
    setAttribute(remove, "aria-label", fill(texts.form.rows.remove, values));
    item.classList.toggle("loom-row-new", isLast);
  });
}

/** Put the rows into the field, as if they had been typed there. */
function write(block, { isTyping = null } = {}) {
  const area = block.querySelector("textarea");
  area.value = linesOf(inputsOf(block).map((input) => input.value).join("\n")).join("\n");
  area.dispatchEvent(new Event("input", { bubbles: true }));
  if (isTyping && isTyping === inputsOf(block).at(-1) && isTyping.value.trim()) {
    block.querySelector(".loom-rows").append(row(block, ""));
    nameRows(block);
  } else if (!isTyping) show(block);
}

function onKey(event, block) {
  const inputs = inputsOf(block);
  const item = event.target.closest("li");
  const at = [...item.parentNode.children].indexOf(item);
  const isMove = event.target.classList.contains("loom-row-move") || event.altKey;
  const steps = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (steps && isMove) moveRow(event, block, at, at + steps);
  else if (steps && event.target.matches("input")) goTo(event, inputs[at + steps]);
  else if (event.key === "Enter" && event.target.matches("input")) goTo(event, inputs[at + 1]);
  else if (event.key === "Backspace" && event.target.matches("input") && !event.target.value && at < inputs.length - 1) {
    removeRow(event, block);
  }
}

function goTo(event, input) {
  event.preventDefault();
  input?.focus();
}

function moveRow(event, block, from, to) {
  event.preventDefault();
  const items = [...block.querySelectorAll(".loom-rows > li")];
  if (to < 0 || to > items.length - 2 || from > items.length - 2) return;
  const focused = document.activeElement;
  items[to][to < from ? "before" : "after"](items[from]);
  nameRows(block);
  focused.focus();
  write(block);
}

function removeRow(event, block) {
  event.preventDefault();
  const items = [...block.querySelectorAll(".loom-rows > li")];
  const at = items.indexOf(event.target.closest("li"));
  items[at].remove();
  write(block);
  nameRows(block);
  inputsOf(block)[Math.min(at, inputsOf(block).length - 1)].focus();
}

/** Several lines at once become several rows. */
function onPaste(event, block) {
  const pasted = linesOf(event.clipboardData.getData("text"));
  if (pasted.length < 2 || !event.target.matches("input")) return;
  event.preventDefault();
  const { value, selectionStart, selectionEnd } = event.target;
  const lines = [value.slice(0, selectionStart) + pasted[0], ...pasted.slice(1)];
  lines[lines.length - 1] += value.slice(selectionEnd);
  const item = event.target.closest("li");
  item.before(...lines.map((line) => row(block, line)));
  item.remove();
  write(block);
}

/** Let a row follow the pointer up and down. */
function drag(event, block) {
  const item = event.target.closest("li");
  if (item.classList.contains("loom-row-new")) return;
  event.preventDefault();
  event.target.setPointerCapture(event.pointerId);
  const follow = (moved) => {
    for (const other of block.querySelectorAll(".loom-rows > li:not(.loom-row-new)")) {
      const { top, bottom } = other.getBoundingClientRect();
      if (other === item || moved.clientY < top || moved.clientY > bottom) continue;
      const isAbove = Boolean(other.compareDocumentPosition(item) & Node.DOCUMENT_POSITION_FOLLOWING);
      other[isAbove ? "before" : "after"](item);
    }
  };
  const end = () => {
    event.target.removeEventListener("pointermove", follow);
    nameRows(block);
    write(block);
  };
  event.target.addEventListener("pointermove", follow);
  event.target.addEventListener("lostpointercapture", end, { once: true });
}

/** Beside each pattern how many modules it matches. */
function showCounts(map) {
  const seen = {};
  for (const { option, finding, count } of map.reports) {
    const index = (seen[option] = (seen[option] ?? -1) + 1);
    const place = document.querySelectorAll(`#${option} .loom-rows > li`)[index]?.querySelector(".loom-row-about");
    if (!place) continue;
    setText(place, finding ? texts.network.short[finding] : fillCount(texts.network.matches, count));
    place.classList.toggle("loom-doubtful", Boolean(finding));
  }
  for (const block of document.querySelectorAll(".loom-dressed")) {
    const places = [...block.querySelectorAll(".loom-row-about")];
    places.slice((seen[block.id] ?? -1) + 1).forEach((place) => setText(place, ""));
  }
}

function labelOf(block) {
  return block.querySelector("[data-testid='block-info']")?.textContent.trim() ?? "";
}

function inputsOf(block) {
  return [...block.querySelectorAll(".loom-rows input")];
}

function areaOf(option) {
  return document.querySelector(`#${option} textarea`);
}

function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}
