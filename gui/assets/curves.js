// The curves of the run: loss, its average, by epoch, learning rates, gradient norm, over an earlier run's if wanted.

import { curveChoice } from "./curve_choice.js";
import { axesOf, drawing, legendOf, NARROWEST_PX } from "./curve_drawing.js";
import { checkpointSteps, figureOf, hasValues, summaryOf } from "./curve_figure.js";
import { curveReader } from "./curve_reader.js";
import { curveZoom } from "./curve_zoom.js";
import { element, setAttribute } from "./dom.js";
import { texts } from "./texts.js";

const REDRAW_MS = 1000;

/** The curves as a card: {element, end()}. */
export function curvesView(feed) {
  const plot = element("div", { class: "loom-plot" });
  const reader = curveReader(plot);
  const zoom = curveZoom(plot, { pointed: () => reader.step, onChange: () => redraw.now() });
  const whole = element("button", { type: "button", class: "loom-button loom-whole", onclick: showWhole }, texts.curves.whole);
  const legend = element("div", { class: "loom-legend" });
  const choice = curveChoice(feed, ({ isAnother }) => {
    if (isAnother) begin();
    else redraw.now();
  });
  const redraw = paced(draw, REDRAW_MS);

  function draw() {
    if (plot.clientWidth < NARROWEST_PX) return; // hidden with its tab, or not laid out yet; drawn when it is seen
    whole.hidden = !zoom.range;
    const figure = figureOf(feed.series, choice.key, choice);
    if (!hasValues(figure)) return drawNothing();
    const isByStep = figure.unit === "step";
    const checkpoints = isByStep ? checkpointSteps(feed.status?.files ?? [], feed.series) : [];
    const width = plot.clientWidth;
    const planned = isByStep ? feed.status?.total_steps : feed.status?.total_epochs;
    const total = feed.isOver ? undefined : planned; // what will not be reached any more takes no room
    const axes = axesOf(figure, { width, total, isLog: choice.isLog, range: zoom.range });
    plot.replaceChildren(drawing(figure, { ...axes, width, checkpoints }));
    setAttribute(plot, "aria-label", summaryOf(figure));
    legend.replaceChildren(...legendOf(figure, checkpoints));
    zoom.show(axes);
    return reader.show({ figure, axes });
  }

  function drawNothing() {
    const text = feed.series.length ? texts.curves.no_values : texts.curves.empty;
    plot.replaceChildren(element("p", { class: "loom-empty" }, text));
    setAttribute(plot, "aria-label", null);
    legend.replaceChildren();
    zoom.show(undefined);
    reader.show(undefined);
  }

  function begin() {
    zoom.reset();
    reader.forget();
    redraw.now();
  }

  function showWhole() {
    zoom.reset();
    redraw.now();
    plot.focus();
  }

  const seen = new ResizeObserver(redraw.now);
  seen.observe(plot);
  const ends = [feed.subscribe("run", begin), feed.subscribe("metrics", redraw.soon), feed.subscribe("status", redraw.soon)];
  return {
    element: cardOf({ choice, plot, whole, tip: reader.tip, legend }),
    end: () => [...ends, () => seen.disconnect(), redraw.end].forEach((end) => end()),
  };
}

function cardOf({ choice, plot, whole, tip, legend }) {
  return element(
    "section",
    { class: "loom-panel loom-curves", "aria-label": texts.curves.title },
    element("div", { class: "loom-panel-head" }, element("h2", {}, texts.curves.title), choice.tabs, choice.controls),
    element("div", { class: "loom-plot-frame" }, plot, tip, whole),
    element("div", { class: "loom-plot-foot" }, legend, element("span", { class: "loom-muted" }, texts.curves.zoom_hint)),
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
