// The curves of the run: loss, its average, learning rates, gradient norm, over the steps.

import { axesOf, drawing, legendOf } from "./curve_drawing.js";
import { checkpointSteps, figureOf, hasValues, summaryOf } from "./curve_figure.js";
import { curveReader } from "./curve_reader.js";
import { element, setAttribute } from "./dom.js";
import { texts } from "./texts.js";

const REDRAW_MS = 1000;

/** The curves as a card: {element, end()}. */
export function curvesView(feed) {
  const plot = element("div", { class: "loom-plot" });
  const reader = curveReader(plot);
  const legend = element("div", { class: "loom-legend" });
  const choice = curveChoice(() => {
    reader.forget();
    redraw.now();
  });
  const redraw = paced(draw, REDRAW_MS);

  function draw() {
    if (!plot.clientWidth) return; // hidden with its tab; drawn when it is seen
    const figure = figureOf(feed.series, choice.key);
    const checkpoints = checkpointSteps(feed.status?.files ?? [], feed.series);
    if (!hasValues(figure)) return drawNothing();
    const width = plot.clientWidth;
    const axes = axesOf(figure, { width, total: feed.status?.total_steps, isLog: choice.isLog });
    plot.replaceChildren(drawing(figure, { ...axes, width, checkpoints }));
    setAttribute(plot, "aria-label", summaryOf(figure));
    legend.replaceChildren(...legendOf(figure, checkpoints));
    return reader.show({ figure, axes });
  }

  function drawNothing() {
    const text = feed.series.length ? texts.curves.no_values : texts.curves.empty;
    plot.replaceChildren(element("p", { class: "loom-empty" }, text));
    setAttribute(plot, "aria-label", null);
    legend.replaceChildren();
    reader.show(undefined);
  }

  const begin = () => {
    reader.forget();
    redraw.now();
  };
  const seen = new ResizeObserver(redraw.now);
  seen.observe(plot);
  const ends = [feed.subscribe("run", begin), feed.subscribe("metrics", redraw.soon), feed.subscribe("status", redraw.soon)];
  return {
    element: cardOf({ choice, plot, tip: reader.tip, legend }),
    end: () => [...ends, () => seen.disconnect(), redraw.end].forEach((end) => end()),
  };
}

/** Which curve, and on which scale: {key, isLog, tabs, check}. */
function curveChoice(onChange) {
  const log = element("input", { type: "checkbox", onchange: onChange });
  const buttons = Object.entries(texts.curves.tabs).map(([key, text]) =>
    element("button", { type: "button", class: "loom-chip", onclick: () => choose(key) }, text),
  );
  const choice = {
    key: "loss",
    get isLog() {
      return log.checked;
    },
    tabs: element("div", { class: "loom-chips", role: "group", "aria-label": texts.curves.title }, ...buttons),
    check: element("label", { class: "loom-check" }, log, texts.curves.log),
  };

  function mark() {
    const keys = Object.keys(texts.curves.tabs);
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", keys[index] === choice.key));
  }

  function choose(key) {
    choice.key = key;
    mark();
    onChange();
  }

  mark();
  return choice;
}

function cardOf({ choice, plot, tip, legend }) {
  return element(
    "section",
    { class: "loom-panel loom-curves", "aria-label": texts.curves.title },
    element("div", { class: "loom-panel-head" }, element("h2", {}, texts.curves.title), choice.tabs, choice.check),
    element("div", { class: "loom-plot-frame" }, plot, tip),
    legend,
  );
}

/** Do it at once, or soon: then at most once in so many milliseconds. {now, soon, end} */
function paced(action, interval) {
  let timer;
  let last = 0;

  function now() {
    end();
    last = performance.now();
    action();
  }

  function soon() {
    timer ??= setTimeout(now, Math.max(0, last + interval - performance.now()));
  }

  function end() {
    clearTimeout(timer);
    timer = undefined;
  }

  return { now, soon, end };
}
