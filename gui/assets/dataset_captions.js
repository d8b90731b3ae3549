// Captions in bulk: find and replace, a trigger word, captions from names, each with a preview; undo; words.

import { element, setText } from "./dom.js";
import { messageLine } from "./message_line.js";
import { formatCount } from "./numbers.js";
import { get, post } from "./request.js";
import { fill, fillCount, texts } from "./texts.js";

/** The card: {element, show()}. onChange: captions were written. */
export function captionTools({ pathOf, onChange }) {
  const state = { change: null, count: 0 };
  const message = messageLine();
  const find = textField("captions-find", texts.captions.find);
  const replacement = textField("captions-replacement", texts.captions.replacement);
  const isRegex = check(texts.captions.is_regex);
  const ignoreCase = check(texts.captions.ignore_case);
  const word = textField("captions-word", texts.captions.word);
  const where = element("select", { class: "loom-select", id: "captions-where" }, ...["front", "behind"].map((place) => element("option", { value: place }, texts.captions.places[place])));
  const changes = element("ul", { class: "loom-caption-changes" });
  const write = element("button", { type: "button", class: "loom-button loom-primary", hidden: true, onclick: writeAll });
  const undo = element("button", { type: "button", class: "loom-button", hidden: true, onclick: undoNewest });
  const words = element("p", { class: "loom-caption-words" });
  const phrases = element("p", { class: "loom-caption-words" });
  const looked = (change) => () => preview(change());
  const card = element(
    "section",
    { class: "loom-panel", "aria-label": texts.captions.title },
    element("div", { class: "loom-panel-head" }, element("h2", {}, texts.captions.title), undo),
    element("div", { class: "loom-caption-tools" }, find.row, replacement.row, element("div", { class: "loom-caption-checks" }, isRegex.label, ignoreCase.label), button(texts.captions.preview, looked(() => ({ kind: "replace", find: find.input.value, replacement: replacement.input.value, is_regex: isRegex.input.checked, ignore_case: ignoreCase.input.checked })), texts.captions.kinds.replace)),
    element("div", { class: "loom-caption-tools" }, word.row, element("div", { class: "loom-settings-row" }, element("label", { for: where.id }, texts.captions.where), where), button(texts.captions.preview, looked(() => ({ kind: "trigger", word: word.input.value, where: where.value })), texts.captions.kinds.trigger), button(texts.captions.kinds.names, looked(() => ({ kind: "names" })))),
    element("div", { class: "loom-caption-outcome" }, write, message.element),
    changes,
    element("details", { class: "loom-dataset-source" }, element("summary", {}, texts.captions.statistics), element("h3", {}, texts.captions.words), words, element("h3", {}, texts.captions.phrases), phrases),
  );

  async function preview(change) {
    await attempt(async () => {
      const told = await post("dataset/captions/preview", { path: pathOf(), change });
      Object.assign(state, { change, count: told.count });
      changes.replaceChildren(...told.changes.map(changeView));
      write.hidden = !told.count;
      setText(write, fillCount(texts.captions.write, told.count));
      message.tell(told.count ? "" : texts.captions.nothing);
    });
  }

  async function writeAll() {
    await attempt(async () => {
      const told = await post("dataset/captions/write", { path: pathOf(), change: state.change, count: state.count });
      done(fillCount(texts.captions.written, told.written), told.undo);
    });
  }

  async function undoNewest() {
    await attempt(async () => {
      const told = await post("dataset/captions/undo", { path: pathOf() });
      done(fillCount(texts.captions.undone, told.undone), told.undo);
    });
  }

  function done(text, newest) {
    write.hidden = true;
    changes.replaceChildren();
    message.tell(text);
    offerUndo(newest);
    onChange();
  }

  function offerUndo(newest) {
    undo.hidden = !newest;
    if (newest) setText(undo, fill(texts.captions.undo, { what: newest.what, count: formatCount(newest.count) }));
  }

  async function show() {
    await attempt(async () => {
      const told = await get("dataset/words", { path: pathOf() });
      words.replaceChildren(...told.words.map(wordView));
      phrases.replaceChildren(...told.phrases.map(wordView));
      offerUndo(told.undo);
    });
  }

  async function attempt(action) {
    try {
      await action();
    } catch (error) {
      message.fail(error);
    }
  }

  return { element: card, show };
}

function changeView({ name, before, after }) {
  return element("li", {}, element("b", {}, name), element("del", {}, before ?? texts.captions.none), element("ins", {}, after));
}

function wordView([word, count]) {
  return element("span", { class: "loom-caption-word" }, word, element("small", {}, ` ${formatCount(count)} `));
}

function textField(id, text) {
  const input = element("input", { type: "text", id, autocomplete: "off" });
  return { input, row: element("div", { class: "loom-settings-row" }, element("label", { for: id }, text), input) };
}

function check(text) {
  const input = element("input", { type: "checkbox" });
  return { input, label: element("label", { class: "loom-check" }, input, text) };
}

function button(text, onclick, name = text) {
  return element("button", { type: "button", class: "loom-button", "aria-label": name === text ? null : `${name}: ${text}`, onclick }, text);
}
