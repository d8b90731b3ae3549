// The dataset file as a form: [general] and each dataset, every key with its help; the server holds no state of it.

import { element, setAttribute, setText } from "./dom.js";
import { browseButton } from "./folder_dialog.js";
import { messageLine } from "./message_line.js";
import { get, post } from "./request.js";
import { fill, fillCount, texts } from "./texts.js";

/** The card: {element, openFormsOwn()}. onOpen(path): a file was opened or saved; onSave(): it was saved.
 *
 * state.text: the file as it was changed so far; changes: done once all changes that were asked for are in it; told: what
 * the tables are still to show; opened: the numbers of tables whose other keys are shown.
 */
export function documentForm({ onOpen, onSave }) {
  const state = { text: "", isSaved: true, changes: Promise.resolve(), told: null, opened: new Set() };
  const path = element("input", { type: "text", id: "dataset-path", spellcheck: "false", autocomplete: "off", onkeydown: (event) => event.key === "Enter" && open() });
  const folder = element("input", { type: "text", id: "dataset-folder", spellcheck: "false", autocomplete: "off", onkeydown: (event) => event.key === "Enter" && propose() });
  const found = messageLine(); // what opening a file or proposing of a folder came to
  const message = messageLine(); // of the file as a whole, at its end
  const tables = element("div", { class: "loom-dataset-tables" });
  const save = button(texts.dataset.save, saveIt, "loom-button loom-primary");
  const source = element("pre", { class: "loom-code", tabindex: "0" });
  const form = element(
    "section",
    { class: "loom-panel", "aria-label": texts.dataset.file },
    element("h2", {}, texts.dataset.file),
    row(texts.dataset.path, path, browseButton(path, { label: () => texts.dataset.path, onChosen: open }), button(texts.dataset.open, open), button(texts.dataset.new, begin)),
    row(texts.dataset.folder, folder, browseButton(folder, { label: () => texts.dataset.folder, wantsFile: false, wantsFolder: true }), button(texts.dataset.propose, propose)),
    found.element,
    tables,
    element("details", { class: "loom-dataset-source" }, element("summary", {}, texts.dataset.source), source),
    element("div", { class: "loom-dataset-actions" }, save, message.element),
  );

  async function open() {
    await attempt(found, async () => {
      await state.changes;
      const told = await get("dataset/document", { path: path.value });
      path.value = told.path;
      show(told);
      state.isSaved = told.exists;
      found.tell(told.exists ? "" : texts.dataset.new_file);
      message.tell("");
      onOpen(told.exists && !told.problems.some(isError) ? told.path : "");
    });
  }

  /** An empty document, which is saved in a file of its own. */
  async function begin() {
    await state.changes;
    path.value = "";
    show({ text: "", tables: [], problems: [] });
    found.tell(texts.dataset.begun);
    message.tell("");
    onOpen("");
    folder.focus();
  }

  async function propose() {
    await attempt(found, async () => {
      const { datasets, file } = await post("dataset/propose", { folder: folder.value });
      await change(datasets.map(({ values }) => ({ add: values })));
      if (!path.value.trim()) path.value = file;
      const counts = datasets.map(({ kind, counted, unreadable }) => fillCount(texts.dataset.proposed[kind], counted, { unreadable }));
      found.tell([...counts, fill(texts.dataset.added_to, { path: path.value })].join(" "));
    });
  }

  /** One after the other, as each is made of the text that the one before gave. */
  function change(operations) {
    state.told = null; // what is asked for now tells all that was told before
    const made = state.changes.then(async () => {
      const told = await post("dataset/document", { text: state.text, operations });
      show(told);
      state.isSaved = false;
      const mistakes = told.problems.filter(isError).length;
      if (mistakes) message.fail(new Error(fillCount(texts.dataset.mistakes, mistakes)));
      else message.tell(texts.dataset.not_saved);
    });
    state.changes = made.catch(() => {}); // told by who asked for it
    return made;
  }

  async function saveIt() {
    await attempt(message, async () => {
      await state.changes; // the button may have been pressed out of a field that was just changed
      const told = await post("dataset/save", { path: path.value, text: state.text });
      path.value = told.path;
      state.isSaved = true;
      putIntoForm(told.path);
      message.tell(fill(texts.dataset.saved, { path: told.path }));
      onOpen(told.path);
      onSave();
    });
  }

  async function attempt(line, action) {
    try {
      await action();
    } catch (error) {
      line.fail(error);
    }
  }

  function show(told) {
    state.text = told.text;
    setText(source, told.text || texts.dataset.empty);
    save.disabled = !told.text || told.problems.some(isError);
    showTablesSoon(told);
  }

  /** Now; where somebody is typing into one of them, once that field was left, if nothing newer is to come by then. */
  function showTablesSoon(told) {
    const field = document.activeElement;
    state.told = told;
    if (!tables.contains(field) || !isTyped(field)) return showTables(told);
    return field.addEventListener("blur", () => setTimeout(() => state.told === told && showTablesSoon(told)), { once: true });
  }

  function showTables(told) {
    const focused = document.activeElement?.id;
    const loose = told.problems.filter((problem) => problem.dataset === null);
    tables.replaceChildren(
      ...loose.map(note),
      ...told.tables.map((table, number) => tableView(table, number, { problems: told.problems.filter((problem) => problem.dataset === number), change: (operations) => attempt(message, () => change(operations)), opened: state.opened })),
    );
    if (focused) document.getElementById(focused)?.focus();
  }

  return {
    element: form,
    /** Open the file that the Train form names, if it names one. */
    openFormsOwn() {
      const named = document.querySelector("#dataset_config input, #dataset_config textarea")?.value;
      path.value = named || "";
      if (named) open();
      else show({ text: "", tables: [], problems: [] });
    },
  };
}

function tableView(table, number, { problems, change, opened }) {
  const title = number ? fill(texts.dataset.numbered[table.kind ?? "image"], { number }) : texts.dataset.general;
  const remove = number ? [button(texts.dataset.remove, () => change([{ remove: number }]), "loom-link")] : [];
  const of = (field) => problems.filter((problem) => problem.key === field.key);
  const given = table.fields.filter((field) => field.text || of(field).length);
  const others = table.fields.filter((field) => !given.includes(field));
  const view = (field) => fieldView(field, number, { problems: of(field), change });
  return element(
    "fieldset",
    { class: "loom-dataset-table" },
    element("legend", {}, title, ...remove),
    ...problems.filter((problem) => !table.fields.some((field) => field.key === problem.key)).map(note),
    element("div", { class: "loom-dataset-fields" }, ...given.map(view)),
    element("details", { open: opened.has(number) || given.length === 0, ontoggle: (event) => (event.target.open ? opened.add(number) : opened.delete(number)) }, element("summary", {}, texts.dataset.more_keys), element("div", { class: "loom-dataset-fields" }, ...others.map(view))),
  );
}

function fieldView(field, number, { problems, change }) {
  const id = `dataset-${number}-${field.key}`;
  const set = ({ target }) => {
    target.defaultValue = target.value; // no longer being typed
    change([{ set: [number, field.key, target.value] }]);
  };
  const attributes = { id, "aria-describedby": `${id}-help`, onchange: set };
  const input = field.choices ? choice(field, attributes) : element("input", { type: "text", spellcheck: "false", autocomplete: "off", placeholder: field.inherited, value: field.text, ...attributes });
  const isWrong = problems.some(isError);
  setAttribute(input, "aria-invalid", isWrong ? "true" : null);
  const help = element("small", { id: `${id}-help`, class: isWrong ? "loom-wrong" : "" }, problems.map(inWords).join(". ") || field.help);
  return element("div", { class: "loom-settings-row" }, element("label", { for: id }, field.label, " ", element("code", {}, field.key)), ...withBrowse(field, input), help);
}

/** Whether there is a text in it that was not handed over yet. */
function isTyped(field) {
  return field.matches("input[type=text]") && field.value !== field.defaultValue;
}

/** The input, with a way through the server's folders beside it where it takes a path. */
function withBrowse(field, input) {
  const kind = field.key.match(/_(directory|jsonl_file)$/)?.[1];
  if (!kind) return [input];
  const isFolder = kind === "directory";
  const onChosen = () => input.dispatchEvent(new Event("change"));
  return [element("div", { class: "loom-dataset-row" }, input, browseButton(input, { label: () => field.label, wantsFile: !isFolder, wantsFolder: isFolder, onChosen }))];
}

function choice(field, attributes) {
  const empty = element("option", { value: "", selected: !field.text }, fill(texts.dataset.as_inherited, { value: field.inherited }));
  const known = field.choices.includes(field.text) || !field.text ? field.choices : [field.text, ...field.choices];
  return element("select", { class: "loom-select", ...attributes }, empty, ...known.map((name) => element("option", { value: name, selected: name === field.text }, name)));
}

/** Gradio's own field takes a value like a typed one: set it, and tell of it. */
function putIntoForm(path) {
  const field = document.querySelector("#dataset_config input, #dataset_config textarea");
  if (!field || field.value === path) return;
  field.value = path;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function note(problem) {
  return element("p", { class: `loom-note loom-${problem.severity}` }, inWords(problem));
}

function inWords({ message, hint }) {
  return [message, hint].filter(Boolean).join(". ");
}

function isError({ severity }) {
  return severity === "error";
}

function row(text, input, ...actions) {
  return element("div", { class: "loom-settings-row" }, element("label", { for: input.id }, text), element("div", { class: "loom-dataset-row" }, input, ...actions));
}

function button(text, onclick, style = "loom-button") {
  return element("button", { type: "button", class: style, onclick }, text);
}
