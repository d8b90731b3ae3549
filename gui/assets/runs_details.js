// What can be done with one run: open, copy its settings, run again, resume, note, stop, delete.

import { runLink } from "./chosen_run.js";
import { copyText } from "./clipboard.js";
import { element, setText } from "./dom.js";
import { runToForm } from "./form_changes.js";
import { formatBytes, formatCount, formatTime } from "./numbers.js";
import { get, post, runAddress } from "./request.js";
import { showInTensorBoard } from "./tensorboard_choice.js";
import { fill, texts } from "./texts.js";

const OVER = ["finished", "stopped", "failed", "crashed"];

/** {element, update(row)}. */
export function runDetails(row, { act }) {
  const words = texts.runs.actions;
  const button = (text, action, style = "") => element("button", { type: "button", class: `loom-button ${style}`, onclick: () => act(action) }, text);
  const again = button(words.again, () => post(runAddress(row.run, "again")));
  const remove = button(words.delete, () => post(runAddress(row.run, "delete")), "loom-danger");
  const stop = button(words.stop, () => post(runAddress(row.run, "stop")), "loom-danger");
  const board = element("button", { type: "button", class: "loom-button", onclick: () => showInTensorBoard([row.run]) }, words.tensorboard);
  const open = runLink(row.run, words.open);
  open.className = "loom-button";
  const support = element("a", { class: "loom-button", href: `support.zip?${new URLSearchParams({ run: row.run })}`, download: true }, words.support);
  const actions = element("div", { class: "loom-actions" }, open, button(words.to_form, () => runToForm(row.run)), again, board, support, stop, remove);
  const failure = element("p", { class: "loom-runs-failure" });
  const states = element("div");
  const notes = notesField(row, act);
  const about = element("p", { class: "loom-muted loom-runs-about" });
  const whole = element("div", { role: "group", "aria-label": fill(texts.runs.details_of, { name: row.title }) }, failure, actions, states, notes, about);

  function update(now) {
    const isTraining = now.kind === "train";
    again.hidden = board.hidden = actions.childNodes[1].hidden = !isTraining;
    remove.hidden = !OVER.includes(now.state);
    stop.hidden = OVER.includes(now.state);
  }

  async function load() {
    const told = await get(runAddress(row.run, "details")).catch((error) => ({ problem: error.message }));
    if (told.problem) return setText(about, told.problem);
    setText(failure, told.failure?.sentence ?? "");
    states.replaceChildren(...statesList(row, told.states, { button, isTraining: row.kind === "train" }));
    Object.assign(notes.querySelector("textarea"), { value: told.notes, disabled: false });
    return about.replaceChildren(fill(texts.runs.on_disk, { amount: formatBytes(told.disk_bytes) }), " · ", element("code", {}, told.folder), " ", copyButton(told.folder));
  }

  update(row);
  load();
  return { element: whole, update };
}

/** The states from which another training can go on, each with a button that does it. */
function statesList(row, states, { button, isTraining }) {
  if (!isTraining) return [];
  if (!states.length) return [element("p", { class: "loom-muted" }, texts.runs.no_states)];
  const items = states.map((state) => {
    const resume = button(texts.runs.actions.resume, () => post(runAddress(row.run, "resume"), { state: state.name }));
    resume.setAttribute("aria-label", `${texts.runs.actions.resume}: ${stateInWords(state)}`);
    return element("li", {}, element("span", {}, stateInWords(state), " ", element("small", { class: "loom-muted" }, `${state.name} · ${formatTime(state.saved)}`)), resume);
  });
  return [element("h3", {}, texts.runs.states), element("ul", { class: "loom-runs-states" }, ...items)];
}

function stateInWords({ step, epoch }) {
  const parts = [fill(texts.curves.step, { step: formatCount(step) })];
  if (epoch !== null) parts.push(fill(texts.samples.epoch, { epoch: formatCount(epoch) }));
  return parts.join(" · ");
}

/** Nothing can be written until what stands there already is known. */
function notesField(row, act) {
  const field = element("textarea", { rows: 2, disabled: true, "aria-label": fill(texts.runs.notes_of, { name: row.title }), placeholder: texts.runs.notes });
  field.addEventListener("change", () => act(() => post(runAddress(row.run, "notes"), { text: field.value })));
  return element("label", { class: "loom-runs-note-field" }, element("span", {}, texts.runs.notes), field);
}

function copyButton(text) {
  const button = element("button", { type: "button", class: "loom-link", onclick: async () => {
    if (!(await copyText(text))) return;
    setText(button, texts.files.copied);
    setTimeout(() => setText(button, texts.files.copy), 2000);
  } }, texts.files.copy);
  return button;
}
