// The norms of a LoRA file in the form of the module map: the stronger the colour, the larger the change of a weight.

import { element, setText } from "./dom.js";
import { moduleGrid, moduleName } from "./module_grid.js";
import { formatCount, formatValue, isNumber } from "./numbers.js";
import { fill, texts } from "./texts.js";

const PALEST = 0.08; // of the full colour, so that a small norm is not taken for none

/**
 * The grids of a file with the line about what is pointed at: {element, point(names)}.
 * most: the norm of the full colour. onPoint(names): told of the modules that are pointed at. id: of the line.
 */
export function normMap(told, { most, onPoint, id }) {
  const detail = element("p", { class: "loom-map-detail", id }, texts.tools.norms.how_to);
  const grids = told.groups.flatMap((group) => {
    const label = fill(texts.tools.norms.grid, { group: texts.network.groups[group.kind], file: told.name });
    const grid = moduleGrid(group, { point: onPoint, click: onPoint, label, dressCell: (cell, module) => dressCell(cell, module, most) });
    grid.element.setAttribute("aria-describedby", id);
    return [element("h3", {}, texts.network.groups[group.kind]), grid.element];
  });
  const modules = modulesOf(told);
  const point = (names) => setText(detail, inWords(modules.filter(({ name }) => names.includes(name)), names));
  const whole = element("div", { class: "loom-norms", role: "group", "aria-label": fill(texts.tools.norms.title, { file: told.name }) }, ...grids, detail, legend(most), ...othersList(told.others));
  return { element: whole, point };
}

/** The largest norm of these files, for one scale of colours. */
export function largestNorm(files) {
  const norms = files.flatMap((told) => modulesOf(told).map(({ norm }) => norm ?? 0));
  return Math.max(0, ...norms);
}

function dressCell(cell, module, most) {
  const state = !module ? "absent" : isNumber(module.norm) ? "norm" : "broken";
  const words = state === "norm" ? fill(texts.tools.norms.norm, { norm: formatValue(module.norm) }) : texts.tools.norms[state];
  cell.dataset.norm = state;
  cell.setAttribute("aria-label", fill(texts.network.cell, { name: cell.dataset.names, state: words }));
  if (state === "norm") cell.style.setProperty("--norm", `${100 * (PALEST + (1 - PALEST) * (most ? module.norm / most : 0))}%`);
}

/** Of one module all that is known, of a head's modules their norm together. */
function inWords(modules, names) {
  if (!modules.length) return fill(texts.tools.norms.not_there, { name: names[0] });
  const norm = Math.hypot(...modules.map((module) => module.norm ?? NaN));
  const last = isNumber(norm) ? fill(texts.tools.norms.norm, { norm: formatValue(norm) }) : texts.tools.norms.broken;
  if (modules.length > 1) {
    const ends = { first: modules[0].name, last: modules.at(-1).name, count: formatCount(modules.length) };
    return `${fill(texts.tools.norms.several, ends)} · ${last}`;
  }
  const [{ name, shape, rank, alpha }] = modules;
  const size = rank === null ? [] : [fill(texts.tools.norms.rank, { rank, alpha: formatNumber(alpha) })];
  return [name, `${shape[0]} → ${shape[1]}`, ...size, last].join(" · ");
}

function modulesOf({ groups, others }) {
  const inGrids = groups.flatMap((group) =>
    group.rows.flatMap((row) => row.cells.flatMap((cell, block) => (cell ? [{ ...cell, name: moduleName(group, row, block) }] : []))),
  );
  return [...inGrids, ...others];
}

function legend(most) {
  const scale = element("span", {}, "0 ", element("i", { class: "loom-norm-scale", "aria-hidden": "true" }), ` ${formatValue(most)}`);
  const absent = element("span", {}, element("i", { "data-norm": "absent", "aria-hidden": "true" }), texts.tools.norms.absent);
  return element("p", { class: "loom-map-legend" }, scale, absent);
}

/** Modules outside of the blocks. */
function othersList(others) {
  if (!others.length) return [];
  const items = others.map((module) => element("li", {}, inWords([module], [module.name])));
  return [element("h3", {}, texts.tools.norms.others), element("ul", { class: "loom-tools-others" }, ...items)];
}

function formatNumber(number) {
  return String(Number(number.toPrecision(6)));
}
