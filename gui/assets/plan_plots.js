// The plan's small plots: the learning rate over the steps, and how often each noise level is trained.

import { element, svgElement } from "./dom.js";
import { formatCount, formatRate } from "./numbers.js";
import { linearAxis } from "./plot.js";
import { texts } from "./texts.js";

const HEIGHT = 96;
const MARGIN = { top: 8, right: 8, bottom: 18, left: 44 };
const STYLES = ["loom-line-main", "loom-line-second"];

/** Draw each plot of the plan that is not drawn yet, or that was drawn for another width. */
export function drawPlanPlots() {
  for (const place of document.querySelectorAll("#plan [data-plot]")) {
    const width = place.clientWidth;
    if (!width || place.dataset.drawn === String(width)) continue;
    place.dataset.drawn = width;
    const data = JSON.parse(place.dataset.plot);
    place.replaceChildren(...(data.kind === "rate" ? ratePlot(data, width) : noisePlot(data, width)));
  }
}

function ratePlot({ steps, lines }, width) {
  const highest = Math.max(...lines.flatMap((line) => line.values));
  const axis = linearAxis(0, highest, { ticks: 2, fromZero: true });
  const frame = frameOf({ width, axis, last: Math.max(steps.at(-1), 2), first: 1 });
  const drawn = lines.map((line, index) =>
    svgElement("polyline", {
      class: STYLES[index],
      points: line.values.map((value, at) => `${frame.x(steps[at]).toFixed(1)},${frame.y(value).toFixed(1)}`).join(" "),
    }),
  );
  const ends = [steps[0], steps.at(-1)].map((step, index) => xText(formatCount(step), index, width));
  const plot = frame.svg({ format: formatRate, xTexts: steps.length > 1 ? ends : ends.slice(0, 1), drawn });
  if (lines.length < 2) return [plot];
  const legend = lines.map((line, index) =>
    element("span", {}, element("i", { class: `loom-swatch ${STYLES[index]}`, "aria-hidden": "true" }), line.name),
  );
  return [plot, element("div", { class: "loom-legend" }, ...legend)];
}

function noisePlot({ shares }, width) {
  const axis = linearAxis(0, Math.max(...shares, 1e-9), { ticks: 2, fromZero: true });
  const frame = frameOf({ width, axis, first: 0, last: shares.length });
  const bars = shares.map((share, index) => {
    const [left, right, top] = [frame.x(index), frame.x(index + 1), frame.y(share)];
    return svgElement("rect", {
      class: "loom-noise-bar",
      x: left.toFixed(1),
      y: top.toFixed(1),
      width: Math.max(1, right - left - 0.5).toFixed(1),
      height: (HEIGHT - MARGIN.bottom - top).toFixed(1),
    });
  });
  const xTexts = ["0", "1,000"].map((text, index) => xText(text, index, width));
  const plot = frame.svg({ format: (share) => `${Number((share * 100).toPrecision(3))} %`, xTexts, drawn: bars });
  return [plot, element("p", { class: "loom-plot-axis" }, texts.plan.plots.noise_axis)];
}

/** Places and the SVG element of a plot whose x axis runs from first to last. */
function frameOf({ width, axis, first, last }) {
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const x = (value) => MARGIN.left + ((value - first) / (last - first)) * inner.width;
  const y = (value) => HEIGHT - MARGIN.bottom - axis.place(value) * inner.height;
  const svg = ({ format, xTexts, drawn }) => {
    const grid = axis.ticks.map((tick) => svgElement("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }));
    const yTexts = axis.ticks.map((tick) => svgElement("text", { x: MARGIN.left - 6, y: y(tick) + 4, "text-anchor": "end" }, format(tick)));
    return svgElement(
      "svg",
      { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
      svgElement("g", { class: "loom-grid" }, ...grid),
      svgElement("g", { class: "loom-ticks" }, ...yTexts, ...xTexts),
      ...drawn,
    );
  };
  return { x, y, svg };
}

/** The text at the left end of the x axis (index 0), or at its right end. */
function xText(text, index, width) {
  const place = index ? { x: width - MARGIN.right, "text-anchor": "end" } : { x: MARGIN.left, "text-anchor": "start" };
  return svgElement("text", { ...place, y: HEIGHT - 4 }, text);
}
