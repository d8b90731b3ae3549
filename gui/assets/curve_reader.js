// Reading single steps off a drawn figure, with the pointer or with the keys of a slider.

import { stepMark, swatch } from "./curve_drawing.js";
import { nameOfStep, nearest, stepInWords, valuesAt } from "./curve_figure.js";
import { element, setAttribute } from "./dom.js";

const MOVES = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
const TIP_DISTANCE_PX = 12;

/** {tip, show(drawn), forget(), step} for a plot; drawn is {figure, axes}, or undefined where nothing is drawn. */
export function curveReader(plot) {
  const tip = element("div", { class: "loom-plot-tip", hidden: true });
  let drawn;
  let pointed; // index into the steps

  function show(now) {
    drawn = now;
    point(pointed);
  }

  function point(index) {
    pointed = index;
    plot.querySelector(".loom-pointed")?.remove();
    tip.hidden = index === undefined || !drawn;
    describeSlider(plot, drawn?.figure, index);
    const [start, end] = drawn?.axes.range ?? [];
    if (!tip.hidden && (drawn.figure.steps[index] < start || drawn.figure.steps[index] > end)) tip.hidden = true; // zoomed away
    if (tip.hidden) return;
    plot.firstChild.append(stepMark(drawn.figure, index, drawn.axes));
    tip.replaceChildren(...rowsOfStep(drawn.figure, index));
    placeTip(tip, { at: drawn.axes.x(drawn.figure.steps[index]), width: plot.clientWidth });
  }

  function pointAt(event) {
    if (drawn) point(nearest(drawn.figure.steps, drawn.axes.stepAt(event.clientX - plot.getBoundingClientRect().left)));
  }

  function onKey(event) {
    if (!drawn || !(event.key in MOVES)) return;
    event.preventDefault();
    const last = drawn.figure.steps.length - 1;
    point(Math.min(last, Math.max(0, (pointed ?? last) + MOVES[event.key])));
  }

  const leave = () => point(undefined);
  const listeners = { pointermove: pointAt, pointerdown: pointAt, pointerleave: leave, blur: leave, keydown: onKey };
  for (const [kind, listener] of Object.entries(listeners)) plot.addEventListener(kind, listener);
  return {
    tip,
    show,
    forget: () => (pointed = undefined),
    /** The step that is pointed at, undefined for none. */
    get step() {
      return pointed === undefined ? undefined : drawn?.figure.steps[pointed];
    },
  };
}

/** A slider over the steps, whose value is said in words as the keys move it; nothing of it where nothing is drawn. */
function describeSlider(plot, figure, index) {
  const at = index ?? (figure ? figure.steps.length - 1 : 0);
  const attributes = {
    role: "slider",
    tabindex: 0,
    "aria-valuemin": figure?.steps[0],
    "aria-valuemax": figure?.steps.at(-1),
    "aria-valuenow": figure?.steps[at],
    "aria-valuetext": figure && stepInWords(figure, at),
  };
  for (const [name, value] of Object.entries(attributes)) setAttribute(plot, name, figure ? value : null);
}

function rowsOfStep(figure, index) {
  const rows = valuesAt(figure, index).map(({ line, value }) => element("div", {}, swatch(line.style), `${line.name} `, element("b", {}, figure.format(value))));
  return [element("div", {}, nameOfStep(figure, index)), ...rows];
}

/** Right of the step, or left of it where there is no room. */
function placeTip(tip, { at, width }) {
  const right = at + TIP_DISTANCE_PX;
  const left = at - TIP_DISTANCE_PX - tip.offsetWidth;
  tip.style.left = `${right + tip.offsetWidth > width ? Math.max(0, left) : right}px`;
}
