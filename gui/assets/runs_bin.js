// The bin: runs that were deleted, to be restored or removed for good.

import { element, setText } from "./dom.js";
import { formatBytes } from "./numbers.js";
import { get, post } from "./request.js";
import { fill, texts } from "./texts.js";

/** {element, look()}; hidden while it is empty. */
export function binView({ act }) {
  const summary = element("summary");
  const list = element("ul", { class: "loom-runs-states" });
  const card = element("details", { class: "loom-panel loom-runs-bin", hidden: true }, summary, list);
  let shown = "";

  async function look() {
    const told = await get("bin").catch(() => null); // told by the header
    const key = JSON.stringify(told?.runs);
    if (!told || key === shown) return;
    shown = key;
    card.hidden = told.runs.length === 0;
    const bytes = told.runs.reduce((sum, run) => sum + run.bytes, 0);
    setText(summary, fill(texts.runs.bin.title, { count: told.runs.length, amount: formatBytes(bytes) }));
    list.replaceChildren(...told.runs.map(binItem));
  }

  function binItem({ run, title, bytes }) {
    const address = (what) => `bin/${encodeURIComponent(run)}/${what}`;
    const restore = element("button", { type: "button", class: "loom-button", "aria-label": `${texts.runs.bin.restore}: ${title}`, onclick: () => act(() => post(address("restore"))) }, texts.runs.bin.restore);
    const erase = element("button", { type: "button", class: "loom-button loom-danger", "aria-label": `${texts.runs.bin.erase}: ${title}`, onclick: confirmErase }, texts.runs.bin.erase);
    function confirmErase() {
      if (erase.dataset.asked) return act(() => post(address("erase")));
      erase.dataset.asked = "yes"; // a second press does it
      erase.classList.add("loom-danger-fill");
      return setText(erase, texts.runs.bin.erase_confirm);
    }
    return element("li", {}, element("span", {}, title, " ", element("small", { class: "loom-muted" }, `${run} · ${formatBytes(bytes)}`)), element("span", { class: "loom-actions" }, restore, erase));
  }

  return { element: card, look };
}
