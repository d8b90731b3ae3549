// The folders of the server in a dialog of the page: walk through them and choose a file or a folder.

import { ask } from "./ask.js";
import { element, setText } from "./dom.js";
import { formatBytes } from "./numbers.js";
import { fill, texts } from "./texts.js";

/** Ask for a path, beginning near one; resolves to the chosen path, or to "" where none is. */
export function chooseOnServer({ label, path, wantsFile, wantsFolder }) {
  return new Promise((resolve) => {
    const title = element("h2", { id: "loom-folders-title" }, fill(texts.form.folders.title, { label }));
    const place = element("p", { class: "loom-folders-path", role: "status" });
    const list = element("ul", { class: "loom-folders-list", "aria-label": texts.form.folders.entries });
    const use = button(texts.form.folders.use, () => close(list.dataset.path), "loom-button");
    const dialog = element(
      "dialog",
      { class: "loom-folders", "aria-labelledby": title.id, onclose: () => close(""), onkeydown: (event) => walk(event, list) },
      title,
      place,
      list,
      element("div", { class: "loom-folders-foot" }, use, button(texts.form.folders.cancel, () => close(""), "loom-button")),
    );
    const close = (chosen) => {
      dialog.remove();
      resolve(chosen);
    };
    const show = async (folder) => {
      const listed = await ask("paths/list", { path: folder });
      if (!listed) return;
      list.dataset.path = listed.path ?? "";
      setText(place, (listed.path ?? texts.form.folders.roots) + (listed.is_cut ? ` ${texts.form.folders.cut}` : ""));
      use.hidden = !wantsFolder || !listed.path;
      const entries = listed.entries.filter(({ is_folder }) => is_folder || wantsFile);
      list.replaceChildren(...(listed.path ? [upEntry(listed)] : []), ...entries.map(entryOf));
      if (!entries.length) list.append(element("li", { class: "loom-muted" }, texts.form.folders.nothing));
      list.querySelector("button")?.focus();
    };
    const upEntry = ({ above }) => element("li", {}, button(`↑ ${texts.form.folders.up}`, () => show(above ?? "")));
    const entryOf = (entry) =>
      element(
        "li",
        {},
        button(entry.is_folder ? `${entry.name}/` : entry.name, () => (entry.is_folder ? show(entry.path) : close(entry.path))),
        element("span", { class: "loom-muted" }, entry.is_folder ? "" : formatBytes(entry.size)),
      );
    document.querySelector(".gradio-container").append(dialog);
    dialog.showModal();
    show(path);
  });
}

/** The arrow keys go from entry to entry. */
function walk(event, list) {
  const entries = [...list.querySelectorAll("button")];
  const at = entries.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  entries[to]?.focus();
}

/** A button that lets a path be chosen into a field. onChosen(): one was. */
export function browseButton(input, { label, wantsFile = true, wantsFolder = false, onChosen = () => {} }) {
  const browse = button(
    texts.form.paths.browse,
    async () => {
      const chosen = await chooseOnServer({ label: label(), path: input.value, wantsFile, wantsFolder });
      if (chosen) {
        input.value = chosen;
        onChosen();
      }
      browse.focus();
    },
    "loom-button",
  );
  return browse;
}

function button(text, onclick, kind = "loom-folders-entry") {
  return element("button", { type: "button", class: kind, onclick }, text);
}
