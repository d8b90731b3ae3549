// The files that the run has written: to download, to look into, and their paths to copy.

import { copyText } from "./clipboard.js";
import { element } from "./dom.js";
import { runAddress } from "./request.js";
import { showInTensorBoard } from "./tensorboard_choice.js";
import { texts } from "./texts.js";
import { lookInto } from "./tools_choice.js";

/** The card: {element, update()}. */
export function filesView(feed) {
  const list = element("ul", { class: "loom-files", tabindex: 0, "aria-label": texts.files.title });
  const board = element("button", { type: "button", class: "loom-link", onclick: () => showInTensorBoard([feed.run.run]) }, texts.files.tensorboard);
  const head = element("div", { class: "loom-panel-head" }, element("h2", {}, texts.files.title), board);
  const card = element("section", { class: "loom-panel", "aria-label": texts.files.title }, head, list);
  let shown;

  function update() {
    const files = feed.status?.files ?? [];
    const logFolder = feed.status?.log_folder ?? "";
    card.hidden = !["train", "lora"].includes(feed.run?.kind);
    const key = JSON.stringify([files, logFolder]);
    board.hidden = !logFolder;
    if (key === shown) return; // so that a focused button stays
    shown = key;
    const saved = files.map((path) => fileRow(path, { run: feed.run.run }));
    const none = element("li", { class: "loom-muted" }, texts.files.none);
    list.replaceChildren(...(saved.length ? saved.reverse() : [none]), ...(logFolder ? [fileRow(logFolder, { label: texts.files.log_folder })] : []));
  }
  return { element: card, update };
}

function fileRow(path, { run = null, label = "" }) {
  const copy = element("button", { type: "button", class: "loom-link", onclick: async () => {
    if (!(await copyText(path))) return;
    copy.textContent = texts.files.copied;
    setTimeout(() => (copy.textContent = texts.files.copy), 2000);
  } }, texts.files.copy);
  const name = path.split(/[\\/]/).at(-1);
  copy.setAttribute("aria-label", `${texts.files.copy}: ${name}`);
  return element("li", {}, element("span", { title: path }, label ? element("small", {}, label) : "", element("code", {}, name)), ...(name.endsWith(".safetensors") ? fileActions(run, path, name) : []), copy);
}

/** What can be done with weights, not with a folder of states or logs. */
function fileActions(run, path, name) {
  const download = element("a", { class: "loom-link", href: runAddress(run, `results/${encodeURIComponent(name)}`), download: name, "aria-label": `${texts.files.download}: ${name}` }, texts.files.download);
  const look = element("button", { type: "button", class: "loom-link", "aria-label": `${texts.tools.runs.look}: ${name}`, onclick: () => lookInto(path) }, texts.tools.runs.look);
  return [download, look];
}
