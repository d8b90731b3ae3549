// Making a LoRA file or a model of others: convert, resize, merge, extract; each becomes a run of the queue.

import { element, setAttribute, setText } from "./dom.js";
import { messageLine } from "./message_line.js";
import { post } from "./request.js";
import { fill, texts } from "./texts.js";
import { button, choiceField, pathField, textField } from "./tools_fields.js";

const COMMANDS = ["convert", "resize", "merge", "extract"];
const FIELDS = {
  convert: ["file", "target", "save_precision", "output"],
  resize: ["file", "by", "rank", "keep_energy", "save_precision", "output"],
  merge: ["dit", "loras", "output"],
  extract: ["dit", "dit_tuned", "rank", "keep_energy", "save_precision", "output"],
};
const PATHS = ["file", "dit", "dit_tuned", "output"];
const SOURCE = { convert: "file", resize: "file", merge: "dit", extract: "dit_tuned" };

/** The card: {element, useFile(path)}. onStart(): a run was queued. */
export function jobCard({ onStart }) {
  const state = {
    command: "convert",
    values: { target: "comfyui", by: "rank", rank: "16", keep_energy: "", save_precision: "keep" },
    loras: [{ file: "", strength: "1" }],
    isOutputTyped: false,
  };
  const chips = COMMANDS.map((command) => element("button", { type: "button", class: "loom-chip", onclick: () => choose(command) }, texts.tools.commands[command]));
  const about = element("p", { class: "loom-muted" });
  const place = element("div", { class: "loom-tools-fields" });
  const overwrite = element("input", { type: "checkbox", id: "tools-overwrite" });
  const message = messageLine();
  const form = element(
    "form",
    { onsubmit: submit },
    place,
    element("label", { class: "loom-check", for: overwrite.id }, overwrite, texts.tools.job.overwrite),
    element("div", { class: "loom-tools-actions" }, element("button", { type: "submit", class: "loom-button loom-primary" }, texts.tools.job.start), message.element),
  );
  let fields = {};

  function choose(command) {
    state.command = command;
    state.isOutputTyped = false;
    message.tell("");
    draw();
  }

  function draw() {
    chips.forEach((chip, index) => setAttribute(chip, "aria-pressed", String(COMMANDS[index] === state.command)));
    setText(about, texts.tools.abouts[state.command]);
    fields = Object.fromEntries(FIELDS[state.command].map((name) => [name, name === "loras" ? loraRows(state, changed) : fieldOf(name)]));
    place.replaceChildren(...Object.values(fields).map((field) => field.element));
    changed();
  }

  function fieldOf(name) {
    const id = `tools-${name}`;
    const label = texts.tools.fields[name];
    const options = { value: state.values[name] ?? "", onChange: () => changed(name), help: texts.tools.helps[name] };
    if (PATHS.includes(name)) return pathField(id, label, { ...options, wantsFolder: false });
    return texts.tools.choices[name] ? choiceField(id, label, texts.tools.choices[name], options) : textField(id, label, options);
  }

  /** Keep what the fields hold, and propose a name for the result while none was typed. */
  function changed(name) {
    if (name === "output") state.isOutputTyped = true;
    for (const [each, { input }] of Object.entries(fields)) if (input) state.values[each] = input.value;
    if (state.command === "resize") {
      fields.rank.element.hidden = state.values.by !== "rank";
      fields.keep_energy.element.hidden = state.values.by === "rank";
    }
    if (!state.isOutputTyped) fields.output.input.value = state.values.output = proposedOutput(state);
  }

  async function submit(event) {
    event.preventDefault();
    changed();
    try {
      const { command, values, loras } = state;
      await post("lora/runs", { command, values, loras, overwrite: overwrite.checked });
      overwrite.checked = false;
      message.tell(texts.tools.job.queued);
      onStart();
    } catch (error) {
      message.fail(error);
    }
  }

  draw();
  const group = element("div", { class: "loom-chips", role: "group", "aria-label": texts.tools.job.which }, ...chips);
  return {
    element: element("section", { class: "loom-panel", "aria-label": texts.tools.job.title }, element("h2", {}, texts.tools.job.title), group, about, form),
    useFile(path) {
      state.values.file = path;
      if (!state.loras[0].file) state.loras[0].file = path;
      draw();
    },
  };
}

/** The LoRA files of a merge, each with its strength: {element}. */
function loraRows(state, changed) {
  const place = element("div", {});
  const add = button(texts.tools.job.add, () => {
    state.loras.push({ file: "", strength: "1" });
    draw();
  });
  function draw() {
    place.replaceChildren(...state.loras.map(loraRow), add);
  }
  function loraRow(lora, index) {
    const numbered = { number: index + 1 };
    const file = pathField(`tools-lora-${index}`, fill(texts.tools.job.lora, numbered), { value: lora.file, onChange: keep });
    const strength = textField(`tools-strength-${index}`, fill(texts.tools.job.strength, numbered), { value: lora.strength, onChange: keep });
    function keep() {
      Object.assign(lora, { file: file.input.value, strength: strength.input.value });
      changed("loras");
    }
    const remove = button(fill(texts.tools.job.remove, numbered), () => {
      state.loras.splice(index, 1);
      draw();
    });
    return element("div", { class: "loom-tools-lora" }, file.element, strength.element, ...(state.loras.length > 1 ? [remove] : []));
  }
  draw();
  return { element: place };
}

/** Beside the file that it is made from: my_lora_comfyui.safetensors. */
function proposedOutput({ command, values }) {
  const source = values[SOURCE[command]] ?? "";
  if (!source) return "";
  const ending = { convert: values.target, resize: values.by === "rank" ? `rank${values.rank}` : "resized", merge: "merged", extract: "lora" };
  return `${source.replace(/\.[^./\\]+$/, "")}_${ending[command]}.safetensors`;
}
