// Which curve is shown, how smooth, on which scale, and over which earlier run.

import { element, setAttribute, setText } from "./dom.js";
import { get, runAddress } from "./request.js";
import { texts } from "./texts.js";

/**
 * {key, smoothing, isLog, under, tabs, controls}; under: {name, curves} of an earlier run, undefined for none.
 * onChange({isAnother}) is told of each change, and whether the figure is another one.
 */
export function curveChoice(feed, onChange) {
  const log = element("input", { type: "checkbox", onchange: () => onChange({ isAnother: false }) });
  const weight = element("output", {}, "0.9");
  const slider = element("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: 0.9, "aria-label": texts.curves.smoothing, oninput: smoothen });
  const earlier = earlierRun(feed, () => onChange({ isAnother: false }));
  const buttons = Object.entries(texts.curves.tabs).map(([key, text]) =>
    element("button", { type: "button", class: "loom-chip", onclick: () => choose(key) }, text),
  );
  const choice = {
    key: "loss",
    get smoothing() {
      return Number(slider.value);
    },
    get isLog() {
      return log.checked;
    },
    get under() {
      return earlier.shown;
    },
    tabs: element("div", { class: "loom-chips", role: "group", "aria-label": texts.curves.title }, ...buttons),
    controls: element(
      "div",
      { class: "loom-curve-controls" },
      element("label", { class: "loom-check" }, texts.curves.smoothing, slider, weight),
      element("label", { class: "loom-check" }, log, texts.curves.log),
      element("label", { class: "loom-check" }, texts.curves.under, earlier.element),
    ),
  };

  function smoothen() {
    setText(weight, slider.value);
    onChange({ isAnother: false });
  }

  function mark() {
    const keys = Object.keys(texts.curves.tabs);
    buttons.forEach((button, index) => setAttribute(button, "aria-pressed", keys[index] === choice.key));
  }

  function choose(key) {
    choice.key = key;
    mark();
    onChange({ isAnother: true });
  }

  mark();
  return choice;
}

/** A choice of the trainings before; they are asked for when somebody turns to it: {element, shown}. */
function earlierRun(feed, onChange) {
  const none = element("option", { value: "" }, texts.curves.none);
  const select = element("select", { "aria-label": texts.curves.under, onfocus: fillIn, onpointerenter: fillIn, onchange: choose }, none);
  const choice = { element: select, shown: undefined };
  let names = "";

  async function fillIn() {
    const told = await get("trainings").catch(() => null); // told by the header
    const others = (told?.runs ?? []).filter(([run]) => run !== feed.run?.run);
    const key = JSON.stringify(others);
    if (!told || key === names) return;
    names = key;
    const chosen = select.value;
    select.replaceChildren(none, ...others.map(([run, title]) => element("option", { value: run, selected: run === chosen }, `${title} · ${run}`)));
  }

  async function choose() {
    const run = select.value;
    const name = select.selectedOptions[0].textContent.split(" · ")[0];
    const curves = run ? await get(runAddress(run, "metrics")).catch(() => ({})) : {};
    if (select.value !== run) return;
    choice.shown = run ? { name, curves } : undefined;
    onChange();
  }

  return choice;
}
