// The curves of the run: loss, its average, learning rates, gradient norm, over the steps.

import { element, setText, svgElement } from "./dom.js";
import { formatCount, formatRate, formatValue } from "./numbers.js";
import { lastStepShown, linearAxis, logAxis, smooth, thinOut } from "./plot.js";
import { fill, texts } from "./texts.js";

const POINTS = 800;
const REDRAW_MS = 1000;
const HEIGHT = 290;
const MARGIN = { left: 58, right: 24, top: 14, bottom: 28 };

/** The curves as a card: {element, end()}. */
export function curvesView(feed) {
  const plot = element("div", { class: "loom-plot", tabindex: 0, role: "img" });
  const tip = element("div", { class: "loom-plot-tip", hidden: true });
  const spoken = element("div", { class: "loom-unseen", role: "status" });
  const legend = element("div", { class: "loom-legend" });
  const isLog = element("input", { type: "checkbox" });
  const tabs = Object.entries(texts.curves.tabs).map(([key, text]) =>
    element("button", { type: "button", class: "loom-chip", onclick: () => choose(key) }, text),
  );
  const card = element(
    "section",
    { class: "loom-panel loom-curves", "aria-label": texts.curves.title },
    element(
      "div",
      { class: "loom-panel-head" },
      element("h2", {}, texts.curves.title),
      element("div", { class: "loom-chips", role: "group", "aria-label": texts.curves.title }, ...tabs),
      element("label", { class: "loom-check" }, isLog, texts.curves.log),
    ),
    element("div", { class: "loom-plot-frame" }, plot, tip, spoken),
    legend,
  );
  let chosen = "loss";
  let drawn; // {figure, x, y}: what the pointer and the arrow keys read
  let pointed; // index into the steps
  let lastDrawn = 0;
  let timer;

  function choose(key) {
    chosen = key;
    pointed = undefined;
    draw();
  }

  function schedule() {
    timer ??= setTimeout(draw, Math.max(0, lastDrawn + REDRAW_MS - performance.now()));
  }

  function draw() {
    clearTimeout(timer);
    timer = undefined;
    lastDrawn = performance.now();
    tabs.forEach((tab, index) => tab.setAttribute("aria-pressed", Object.keys(texts.curves.tabs)[index] === chosen));
    const width = plot.clientWidth;
    if (!width) return; // hidden with its tab; drawn when it is seen
    const figure = figureOf(feed.series, chosen);
    drawn = undefined;
    if (!figure.lines.some((line) => line.values.some((value) => value !== null))) {
      const text = feed.series.length ? texts.curves.noValues : texts.curves.empty;
      plot.replaceChildren(element("p", { class: "loom-empty" }, text));
      plot.setAttribute("aria-label", text);
      legend.replaceChildren();
      point(undefined);
      return;
    }
    const axes = axesOf(figure, { width, total: feed.status?.total_steps, isLog: isLog.checked });
    const checkpoints = checkpointSteps(feed.status?.files ?? [], feed.series);
    drawn = { figure, ...axes };
    plot.replaceChildren(drawing(figure, { ...axes, width, checkpoints }));
    plot.setAttribute("aria-label", `${summaryOf(figure)} ${texts.curves.keys}`);
    legend.replaceChildren(...legendOf(figure, checkpoints));
    point(pointed);
  }

  function point(index) {
    pointed = index;
    plot.querySelector(".loom-pointed")?.remove();
    tip.hidden = index === undefined || !drawn;
    if (tip.hidden) return;
    const { figure, x, y } = drawn;
    const step = figure.steps[index];
    const values = figure.lines.filter((line) => line.values[index] !== null);
    const left = x(step);
    plot.firstChild.append(
      svgElement(
        "g",
        { class: "loom-pointed" },
        svgElement("line", { x1: left, x2: left, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
        ...values.map((line) => svgElement("circle", { cx: left, cy: y(line.values[index]), r: 3.5, class: line.style })),
      ),
    );
    const rows = values.map((line) => element("div", {}, swatch(line.style), `${line.name} `, element("b", {}, figure.format(line.values[index]))));
    tip.replaceChildren(element("div", {}, fill(texts.curves.step, { step: formatCount(step) })), ...rows);
    tip.style.left = `${Math.min(Math.max(0, left + 12), plot.clientWidth - tip.offsetWidth)}px`;
    if (left + 12 + tip.offsetWidth > plot.clientWidth) tip.style.left = `${left - 12 - tip.offsetWidth}px`;
  }

  function pointAt(event) {
    if (!drawn) return;
    const wanted = drawn.stepAt(event.clientX - plot.getBoundingClientRect().left);
    point(nearest(drawn.figure.steps, wanted));
  }

  plot.addEventListener("pointermove", pointAt);
  plot.addEventListener("pointerdown", pointAt);
  plot.addEventListener("pointerleave", () => point(undefined));
  plot.addEventListener("blur", () => point(undefined));
  plot.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
    if (!drawn || !(event.key in moves)) return;
    event.preventDefault();
    const last = drawn.figure.steps.length - 1;
    point(Math.min(last, Math.max(0, (pointed ?? last) + moves[event.key])));
    setText(spoken, tip.innerText.replaceAll("\n", ", "));
  });
  isLog.addEventListener("change", draw);
  const seen = new ResizeObserver(draw);
  seen.observe(plot);

  const begin = () => {
    pointed = undefined;
    draw();
  };
  const ends = [feed.subscribe("run", begin), feed.subscribe("metrics", schedule), feed.subscribe("status", schedule)];
  return {
    element: card,
    end() {
      ends.forEach((end) => end());
      seen.disconnect();
      clearTimeout(timer);
    },
  };
}

/** What a tab shows: {what, steps, lines: [{name, values, style}], format}. */
function figureOf(series, key) {
  const figure = { what: texts.curves.tabs[key], steps: series.steps, format: formatValue };
  const average = { name: texts.curves.average, values: series.average, style: "loom-line-main" };
  switch (key) {
    case "average":
      return { ...figure, lines: [average] };
    case "learningRate":
      return { ...figure, format: formatRate, lines: [...series.learningRates].map(rateLine) };
    case "gradientNorm":
      return {
        ...figure,
        lines: [
          { name: texts.curves.each, values: series.gradientNorm, style: "loom-line-thin" },
          { name: texts.curves.smoothed, values: smooth(series.gradientNorm), style: "loom-line-main" },
        ],
      };
    default:
      return { ...figure, lines: [{ name: texts.curves.each, values: series.loss, style: "loom-line-thin" }, average] };
  }
}

function rateLine([name, values], index) {
  return { name, values, style: ["loom-line-main", "loom-line-second", "loom-line-third"][index % 3] };
}

/** From steps and values to pixels: {x(step), y(value), stepAt(pixels), xAxis, yAxis}. */
function axesOf(figure, { width, total, isLog }) {
  const xAxis = linearAxis(0, lastStepShown(figure.steps.at(-1), total), { ticks: width < 500 ? 4 : 8, fromZero: true });
  const end = lastStepShown(figure.steps.at(-1), total);
  let [lowest, highest] = [Infinity, -Infinity];
  for (const line of figure.lines) {
    for (const value of line.values) {
      if (value === null || (isLog && value <= 0)) continue;
      lowest = Math.min(lowest, value);
      highest = Math.max(highest, value);
    }
  }
  if (lowest > highest) [lowest, highest] = [1, 10]; // nothing above 0 on a logarithmic axis
  const yAxis = isLog ? logAxis(lowest, highest) : linearAxis(lowest, highest);
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const bottom = HEIGHT - MARGIN.bottom;
  return {
    xAxis: { ...xAxis, ticks: xAxis.ticks.filter((tick) => tick <= end && Number.isInteger(tick)) },
    yAxis,
    x: (step) => MARGIN.left + (step / end) * inner.width,
    y: (value) => (isLog && value <= 0 ? bottom : bottom - yAxis.place(value) * inner.height),
    stepAt: (pixels) => ((pixels - MARGIN.left) / inner.width) * end,
  };
}

function drawing(figure, { x, y, xAxis, yAxis, width, checkpoints }) {
  const bottom = HEIGHT - MARGIN.bottom;
  const grid = yAxis.ticks.map((tick) => svgElement("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }));
  const yTexts = yAxis.ticks.map((tick) => svgElement("text", { x: MARGIN.left - 10, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick, yAxis)));
  const xTexts = xAxis.ticks.map((tick) => svgElement("text", { x: x(tick), y: HEIGHT - 8, "text-anchor": "middle" }, formatCount(tick)));
  const lines = figure.lines.map((line) => {
    const points = thinOut(figure.steps, line.values, POINTS).map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
    const path = svgElement("polyline", { class: line.style, points: points.join(" ") });
    return points.length > 1 ? path : onePoint(points[0], line.style);
  });
  const dots = checkpoints.map((step) => svgElement("circle", { class: "loom-checkpoint", cx: x(step), cy: bottom, r: 4 }));
  return svgElement(
    "svg",
    { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
    svgElement("g", { class: "loom-grid" }, ...grid),
    svgElement("g", { class: "loom-ticks" }, ...yTexts, ...xTexts),
    ...lines,
    ...dots,
  );
}

function onePoint(point, style) {
  const [cx, cy] = (point ?? "-9,-9").split(",");
  return svgElement("circle", { cx, cy, r: 3, class: style });
}

/** A tick with as many decimals as the distance of the ticks needs. */
function tickText(tick, axis) {
  const size = Math.max(Math.abs(axis.high), Math.abs(axis.low));
  if (tick === 0 || Math.abs(tick) < size * 1e-9) return "0";
  if (size < 1e-2 || size >= 1e5) return formatRate(tick);
  return String(Number(tick.toPrecision(6)));
}

function legendOf(figure, checkpoints) {
  const entries = figure.lines.map((line) => element("span", {}, swatch(line.style), line.name));
  if (checkpoints.length) entries.push(element("span", {}, swatch("loom-checkpoint"), texts.curves.checkpoints));
  return entries;
}

function swatch(style) {
  return element("i", { class: `loom-swatch ${style}`, "aria-hidden": "true" });
}

function summaryOf({ what, steps, lines, format }) {
  const told = lines.map(({ name, values }) => {
    const known = values.map((value, index) => [value, steps[index]]).filter(([value]) => value !== null);
    if (!known.length) return "";
    const [lowest, at] = known.reduce((best, point) => (point[0] < best[0] ? point : best));
    const [start, end] = [format(known[0][0]), format(known.at(-1)[0])];
    return fill(texts.curves.summaryLine, { name, start, end, lowest: format(lowest), at: formatCount(at) });
  });
  const range = { first: formatCount(steps[0]), last: formatCount(steps.at(-1)) };
  return fill(texts.curves.summary, { what, ...range, lines: `${told.filter(Boolean).join("; ")}.` });
}

/** The steps at which LoRA files were saved: `NAME-step00000200`, `NAME-000004` after an epoch. */
function checkpointSteps(files, series) {
  return files.flatMap((file) => {
    const [, step, epoch] = /-(?:step(\d+)|(\d{6}))\.safetensors$/.exec(file) ?? [];
    const at = step ? Number(step) : epoch ? series.steps[series.epochs.lastIndexOf(Number(epoch))] : undefined;
    return at === undefined ? [] : [at];
  });
}

/** The index of the step nearest to `wanted` in ascending steps. */
function nearest(steps, wanted) {
  let [low, high] = [0, steps.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && wanted - steps[low - 1] < steps[low] - wanted ? low - 1 : low;
}
