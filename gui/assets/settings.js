// The Settings tab: where models and folders lie, language and appearance, logins, versions, and a zip for help.

import { APPEARANCES, chooseAppearance, chosenAppearance } from "./appearance.js";
import { element, setText } from "./dom.js";
import { browseButton } from "./folder_dialog.js";
import { languageSwitch } from "./language.js";
import { messageLine } from "./message_line.js";
import { tellPaths } from "./path_findings.js";
import { fill, texts } from "./texts.js";

const MODELS = ["dit", "vae", "text_encoder1", "text_encoder2"];
const FOLDERS = ["output_dir", "logging_dir"];

/** Fill the tab; returns a function that ends it. */
export function showSettings(container) {
  const form = settingsForm();
  const logins = card(texts.settings.logins);
  const versions = card(texts.settings.versions);
  container.replaceChildren(form.element, element("div", { class: "loom-settings-side" }, lookCard(), logins, versions, supportCard()));
  read(form, logins, versions);
  return () => {};
}

async function read(form, logins, versions) {
  const answer = await fetch("settings");
  if (!answer.ok) return form.fail(new Error(fill(texts.settings.failed, { why: answer.status })));
  const told = await answer.json();
  form.show(told);
  logins.append(factList(Object.entries(told.logins).map(([name, source]) => [texts.settings.logins[name], loginInWords(name, source)])));
  versions.append(factList(versionFacts(told.versions)));
  return undefined;
}

/** Paths and roots, kept together by one button: {element, show(settings), fail(error)}. */
function settingsForm() {
  const fields = new Map([...MODELS, ...FOLDERS].map((name) => [name, pathField(name)]));
  const roots = element("textarea", { rows: 3, spellcheck: "false", id: "settings-allowed_roots" });
  const message = messageLine();
  const keep = element("button", { type: "submit", class: "loom-button loom-primary" }, texts.settings.keep);
  const rows = (names) => names.map((name) => fields.get(name).row);
  const form = element(
    "form",
    { class: "loom-settings-main", onsubmit: submit, oninput: () => message.tell(texts.settings.changed) },
    card(texts.settings.models, ...rows(MODELS), element("p", {}, fillButton(fields, message))),
    card(texts.settings.folders, ...rows(FOLDERS), labelled(texts.settings.folders.roots, roots, texts.settings.folders.roots_help)),
    element("div", { class: "loom-settings-keep" }, keep, message.element),
  );
  let file = "";
  setDisabled(true); // what is typed before the settings are there would be lost, and what is kept would lose them

  function setDisabled(isDisabled) {
    for (const control of form.elements) control.disabled = isDisabled;
  }

  function show(told) {
    setDisabled(false);
    for (const [name, { input, label }] of fields) {
      input.value = told.prefilled[name];
      setText(label, told.labels[name]);
    }
    fields.forEach(({ check }) => check());
    roots.value = told.allowed_roots.join("\n");
    file = told.file;
    if (told.problems.length) message.fail(new Error(told.problems.map(inWords).join(" ")));
  }

  async function submit(event) {
    event.preventDefault();
    const prefilled = Object.fromEntries([...fields].map(([name, { input }]) => [name, input.value]));
    const allowed_roots = roots.value.split("\n").map((line) => line.trim()).filter(Boolean);
    mark([]);
    try {
      const answer = await fetch("settings", { method: "POST", body: JSON.stringify({ prefilled, allowed_roots }) });
      const { problems } = await answer.json();
      mark(problems);
      if (answer.ok) message.tell(fill(texts.settings.kept, { file }));
      else message.fail(new Error(problems.map(inWords).join(" ") || fill(texts.settings.failed, { why: answer.status })));
    } catch (error) {
      message.fail(new Error(fill(texts.settings.failed, { why: error.message })));
    }
  }

  function mark(problems) {
    const wrong = new Set(problems.map((problem) => problem.option));
    for (const [name, { input }] of fields) input.setAttribute("aria-invalid", String(wrong.has(name)));
    roots.setAttribute("aria-invalid", String(wrong.has("allowed_roots")));
  }

  return { element: form, show, fail: message.fail };
}

function inWords({ message, hint }) {
  return hint ? `${message} (${hint})` : message;
}

function pathField(name) {
  const found = element("p", { class: "loom-path-told", role: "status" });
  const check = () => tellPaths(found, name, input.value, ((text) => () => input.value === text)(input.value));
  const input = element("input", { type: "text", spellcheck: "false", autocomplete: "off", id: `settings-${name}`, onchange: check });
  const label = element("label", { for: input.id }, name); // until the server tells its label in the form
  const browse = browseButton(input, {
    label: () => label.textContent,
    wantsFile: MODELS.includes(name),
    wantsFolder: !["dit", "vae"].includes(name),
    onChosen: () => ["input", "change"].forEach((kind) => input.dispatchEvent(new Event(kind, { bubbles: true }))),
  });
  const row = element("div", { class: "loom-settings-row" }, label, element("div", { class: "loom-dataset-row" }, input, browse), found);
  return { input, row, label, check };
}

function labelled(text, field, help) {
  const describedBy = help && `${field.id}-help`;
  if (describedBy) field.setAttribute("aria-describedby", describedBy);
  return element("div", { class: "loom-settings-row" }, element("label", { for: field.id }, text), field, help ? element("small", { id: describedBy }, help) : "");
}

/** Gradio's own fields take a value like a typed one: set it, and tell of it. */
function fillButton(fields, message) {
  const put = () => {
    for (const [name, { input }] of fields) {
      const field = document.querySelector(`#${name} input, #${name} textarea`);
      if (!field || !input.value || field.value === input.value) continue;
      field.value = input.value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    message.tell(texts.settings.models.filled);
  };
  return element("button", { type: "button", class: "loom-button", onclick: put }, texts.settings.models.fill);
}

function lookCard() {
  const choices = APPEARANCES.map((name) => element("option", { value: name, selected: name === chosenAppearance() }, texts.settings.look.choices[name]));
  const look = element("select", { id: "settings-appearance", class: "loom-select", onchange: (event) => chooseAppearance(event.target.value) }, ...choices);
  const language = languageSwitch();
  language.id = "settings-language";
  language.classList.add("loom-select");
  return card(texts.settings.look, labelled(texts.page.language, language), labelled(texts.settings.look.appearance, look));
}

function supportCard() {
  const link = element("a", { href: "support.zip", download: true, class: "loom-button" }, texts.settings.support.download);
  return card(texts.settings.support, element("p", {}, link));
}

function loginInWords(name, source) {
  return source ? texts.settings.logins[source] : texts.settings.logins[`none_${name}`];
}

function versionFacts({ driver, system, ...parts }) {
  const named = Object.entries(parts).map(([name, version]) => [name, version ?? texts.settings.versions.none]);
  return [...named, [texts.settings.versions.driver, driver ?? texts.settings.versions.no_driver], [texts.settings.versions.system, system]];
}

function factList(facts) {
  return element("dl", { class: "loom-facts" }, ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

function card(words, ...parts) {
  const about = words.about ? [element("p", { class: "loom-muted" }, words.about)] : [];
  return element("section", { class: "loom-panel", "aria-label": words.title }, element("h2", {}, words.title), ...about, ...parts);
}
