// Fields of the Tools tab: a label above each, and a way through the server's folders beside a path.

import { element } from "./dom.js";
import { browseButton } from "./folder_dialog.js";

/** A field for a path: {element, input}. onChange(): the path was typed or chosen. */
export function pathField(id, label, { value = "", onChange = () => {}, wantsFolder = false } = {}) {
  const input = textInput(id, value, onChange);
  const browse = browseButton(input, { label: () => label, wantsFolder, onChosen: onChange });
  return { element: labelled(label, input, browse), input };
}

export function textField(id, label, { value = "", onChange = () => {}, help = "" } = {}) {
  const input = textInput(id, value, onChange);
  return { element: withHelp(labelled(label, input), input, help), input };
}

/** A field to choose from: choices {value: words}. */
export function choiceField(id, label, choices, { value, onChange = () => {}, help = "" } = {}) {
  const options = Object.entries(choices).map(([name, words]) => element("option", { value: name, selected: name === value }, words));
  const input = element("select", { id, class: "loom-select", onchange: onChange }, ...options);
  return { element: withHelp(labelled(label, input), input, help), input };
}

export function button(text, onclick, kind = "") {
  return element("button", { type: "button", class: `loom-button ${kind}`, onclick }, text);
}

function textInput(id, value, onChange) {
  const input = element("input", { type: "text", id, spellcheck: "false", autocomplete: "off", oninput: onChange });
  input.value = value;
  return input;
}

function labelled(label, input, ...beside) {
  const field = beside.length ? element("div", { class: "loom-dataset-row" }, input, ...beside) : input;
  return element("div", { class: "loom-settings-row" }, element("label", { for: input.id }, label), field);
}

function withHelp(row, input, help) {
  if (!help) return row;
  input.setAttribute("aria-describedby", `${input.id}-help`);
  row.append(element("small", { id: `${input.id}-help` }, help));
  return row;
}
