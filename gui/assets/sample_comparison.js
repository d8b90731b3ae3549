// Two samples side by side, the clips started together.

import { element, setAttribute, setText } from "./dom.js";
import { mediaOf } from "./sample_media.js";
import { fill, texts } from "./texts.js";

/** {element, toggle(sample), mark(grid), clear()}: of more than two samples the two that were chosen last stay. */
export function sampleComparison() {
  const sides = element("div", { class: "loom-samples-sides" });
  const again = element("button", { type: "button", class: "loom-button", onclick: restart }, texts.samples.together);
  const close = element("button", { type: "button", class: "loom-button", onclick: clear }, texts.samples.close);
  const told = element("p", { role: "status", class: "loom-muted" });
  const whole = element("div", { class: "loom-samples-comparison", role: "group", "aria-label": texts.samples.comparison, hidden: true }, told, sides, element("div", { class: "loom-actions" }, again, close));
  let chosen = [];
  let grid;

  function toggle(sample) {
    const isChosen = chosen.some(({ file }) => file === sample.file);
    chosen = isChosen ? chosen.filter(({ file }) => file !== sample.file) : [...chosen, sample].slice(-2);
    show();
  }

  function clear() {
    chosen = [];
    show();
  }

  function show() {
    whole.hidden = chosen.length === 0;
    setText(told, chosen.length === 1 ? texts.samples.choose_another : "");
    sides.replaceChildren(...chosen.map(sideOf));
    again.hidden = chosen.length < 2 || chosen.every(({ type }) => type === "image");
    mark(grid);
    restart();
  }

  function restart() {
    const videos = [...sides.querySelectorAll("video")];
    for (const video of videos) video.currentTime = 0;
    for (const video of videos) video.play().catch(() => {}); // a browser that forbids it leaves the controls
  }

  /** Show in the grid which are compared. */
  function mark(shownIn) {
    grid = shownIn;
    for (const button of grid?.querySelectorAll("[data-sample]") ?? []) {
      setAttribute(button, "aria-pressed", chosen.some(({ file }) => file === button.dataset.sample));
    }
  }

  return { element: whole, toggle, mark, clear };
}

function sideOf(sample) {
  const about = fill(texts.samples.about, { at: sample.column, seed: sample.seed });
  return element("figure", {}, mediaOf(sample, sample), element("figcaption", {}, element("b", {}, about), " ", sample.prompt));
}
