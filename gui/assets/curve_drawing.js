// A figure as SVG: axes, grid, lines, checkpoints, and the legend below.

import { valuesAt } from "./curve_figure.js";
import { element, svgElement } from "./dom.js";
import { formatCount, formatRate } from "./numbers.js";
import { lastStepShown, linearAxis, logAxis, thinOut } from "./plot.js";
import { texts } from "./texts.js";

const POINTS = 800;
const HEIGHT = 290;
const MARGIN = { left: 58, right: 24, top: 14, bottom: 28 };

/** In less there is no room for a curve beside the numbers of its axis. */
export const NARROWEST_PX = 160;

/**
 * From steps and values to pixels: {x(step), y(value), stepAt(pixels), xAxis, yAxis, range}.
 * range: [first, last] step to show, undefined for the whole.
 */
export function axesOf(figure, { width, total, isLog, range }) {
  const last = Math.max(...figure.lines.map((line) => (line.steps ?? figure.steps).at(-1) ?? 1));
  const [start, end] = range ?? [0, lastStepShown(last, total)];
  const xAxis = linearAxis(start, end, { ticks: width < 500 ? 4 : 8, fromZero: !range });
  const [lowest, highest] = extremes(figure, { start, end, isLog });
  const yAxis = isLog ? logAxis(lowest, highest) : linearAxis(lowest, highest);
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const bottom = HEIGHT - MARGIN.bottom;
  return {
    range: [start, end],
    xAxis: { ...xAxis, ticks: xAxis.ticks.filter((tick) => tick >= start && tick <= end && Number.isInteger(tick)) },
    yAxis,
    x: (step) => MARGIN.left + ((step - start) / (end - start)) * inner.width,
    y: (value) => (isLog && value <= 0 ? bottom : bottom - yAxis.place(value) * inner.height),
    stepAt: (pixels) => start + ((pixels - MARGIN.left) / inner.width) * (end - start),
  };
}

/** The lowest and the highest value in sight. */
function extremes(figure, { start, end, isLog }) {
  let [lowest, highest] = [Infinity, -Infinity];
  for (const line of figure.lines) {
    const steps = line.steps ?? figure.steps;
    line.values.forEach((value, index) => {
      if (value === null || (isLog && value <= 0) || steps[index] < start || steps[index] > end) return;
      lowest = Math.min(lowest, value);
      highest = Math.max(highest, value);
    });
  }
  return lowest > highest ? [1, 10] : [lowest, highest]; // nothing in sight, or nothing above 0 on a logarithmic axis
}

/** The SVG element. */
export function drawing(figure, { x, y, xAxis, yAxis, range, width, checkpoints }) {
  const bottom = HEIGHT - MARGIN.bottom;
  const grid = yAxis.ticks.map((tick) => svgElement("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }));
  const yTexts = yAxis.ticks.map((tick) => svgElement("text", { x: MARGIN.left - 10, y: y(tick) + 4, "text-anchor": "end" }, tickText(tick, yAxis)));
  const xTexts = xAxis.ticks.map((tick) => svgElement("text", { x: x(tick), y: HEIGHT - 8, "text-anchor": "middle" }, formatCount(tick)));
  const lines = figure.lines.map((line) => {
    const inSight = partInSight(line.steps ?? figure.steps, line.values, range);
    const points = thinOut(inSight.steps, inSight.values, POINTS).map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
    const path = svgElement("polyline", { class: line.style, points: points.join(" ") });
    return points.length > 1 ? path : onePoint(points[0], line.style);
  });
  const dots = checkpoints.filter((step) => step >= range[0] && step <= range[1]).map((step) => svgElement("circle", { class: "loom-checkpoint", cx: x(step), cy: bottom, r: 4 }));
  return svgElement(
    "svg",
    { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
    svgElement("g", { class: "loom-grid" }, ...grid),
    svgElement("g", { class: "loom-ticks" }, ...yTexts, ...xTexts),
    insideAxes(width, lines),
    ...dots,
  );
}

/** A line at the step, with a dot on each curve that has a value there. */
export function stepMark(figure, index, { x, y }) {
  const at = x(figure.steps[index]);
  const dots = valuesAt(figure, index).map(({ line, value }) => svgElement("circle", { cx: at, cy: y(value), r: 3.5, class: line.style }));
  const line = svgElement("line", { x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
  return svgElement("g", { class: "loom-pointed" }, line, ...dots);
}

/** The part that a drag has chosen so far, in pixels. */
export function dragMark(from, to) {
  const [x, width] = [Math.min(from, to), Math.abs(to - from)];
  return svgElement("rect", { class: "loom-dragged", x, width, y: MARGIN.top, height: HEIGHT - MARGIN.top - MARGIN.bottom });
}

/** The legend's entries. */
export function legendOf(figure, checkpoints) {
  const entries = figure.lines.map((line) => element("span", {}, swatch(line.style), line.name));
  if (checkpoints.length) entries.push(element("span", {}, swatch("loom-checkpoint"), texts.curves.checkpoints));
  return entries;
}

/** The colour of a line as a small square. */
export function swatch(style) {
  return element("i", { class: `loom-swatch ${style}`, "aria-hidden": "true" });
}

/** The lines, cut off where the axes end: a picture inside the picture shows nothing beyond its own edges. */
function insideAxes(width, lines) {
  const inner = width - MARGIN.left - MARGIN.right;
  return svgElement("svg", { x: MARGIN.left, y: 0, width: inner, height: HEIGHT, viewBox: `${MARGIN.left} 0 ${inner} ${HEIGHT}` }, ...lines);
}

/** What lies between two steps, with the neighbours outside, so that lines go on to the edge. */
function partInSight(steps, values, [start, end]) {
  const first = Math.max(0, steps.findIndex((step) => step >= start) - 1);
  const beyond = steps.findIndex((step) => step > end);
  const last = beyond < 0 ? steps.length : beyond + 1;
  return { steps: steps.slice(first, last), values: values.slice(first, last) };
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
