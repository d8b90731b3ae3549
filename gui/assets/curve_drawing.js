// A figure as SVG: axes, grid, lines, checkpoints, and the legend below.

import { element, svgElement } from "./dom.js";
import { formatCount, formatRate } from "./numbers.js";
import { lastStepShown, linearAxis, logAxis, thinOut } from "./plot.js";
import { texts } from "./texts.js";

const POINTS = 800;
const HEIGHT = 290;
const MARGIN = { left: 58, right: 24, top: 14, bottom: 28 };

/** From steps and values to pixels: {x(step), y(value), stepAt(pixels), xAxis, yAxis}. */
export function axesOf(figure, { width, total, isLog }) {
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

/** The SVG element. */
export function drawing(figure, { x, y, xAxis, yAxis, width, checkpoints }) {
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

/** A line at the step, with a dot on each curve that has a value there. */
export function stepMark(figure, index, { x, y }) {
  const at = x(figure.steps[index]);
  const values = figure.lines.filter((line) => line.values[index] !== null);
  const dots = values.map((line) => svgElement("circle", { cx: at, cy: y(line.values[index]), r: 3.5, class: line.style }));
  const line = svgElement("line", { x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
  return svgElement("g", { class: "loom-pointed" }, line, ...dots);
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
