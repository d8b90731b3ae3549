// One grid of the module map: Linears downwards, blocks to the right; by keys as a spreadsheet, one stop for Tab.

import { element, setAttribute } from "./dom.js";
import { fill, texts } from "./texts.js";

const NUMBERED = 5;
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * The grid of a group of blocks; `point` and `click` are told the names of modules: of a cell one, of a head many.
 * dressCell(cell, told): gives a cell its colour and its name.
 */
export function moduleGrid(group, { point, click, label = texts.network.groups[group.kind], dressCell = showSelected }) {
  const cells = group.rows.map((row) => row.cells.map((_, block) => moduleCell([moduleName(group, row, block)])));
  const rowHeads = group.rows.map((row) => headCell("rowheader", row.part, rowNames(group, row)));
  const blocks = Array.from({ length: group.blocks }, (_, block) => block);
  const columnHeads = blocks.map((block) =>
    headCell("columnheader", block % NUMBERED ? "" : String(block), group.rows.map((row) => moduleName(group, row, block))),
  );
  const corner = element("span", { role: "gridcell" });
  const places = [...cells.map((row, index) => [rowHeads[index], ...row]), [corner, ...columnHeads]];
  const node = element(
    "div",
    {
      class: "loom-map-grid",
      role: "grid",
      "aria-label": label,
      "aria-multiselectable": dressCell === showSelected ? "true" : null,
      style: `--blocks: ${group.blocks}`,
      onkeydown: (event) => onKey(event, places),
      onclick: (event) => namesAt(event) && click(namesAt(event)),
      onmouseover: (event) => namesAt(event) && point(namesAt(event)),
      onfocusin: (event) => {
        letTabReach(event.target, places);
        point(namesAt(event));
      },
    },
    ...places.map((row) => element("div", { role: "row" }, ...row)),
  );
  letTabReach(places[0][1], places);
  nameHeads(group, rowHeads, columnHeads);
  const update = (updated) => updated.rows.forEach((row, index) => row.cells.forEach((told, block) => dressCell(cells[index][block], told)));
  update(group);
  return { element: node, update };
}

/** `single_blocks.24.linear1` */
export function moduleName(group, row, block) {
  return `${group.kind}.${block}.${row.part}`;
}

function rowNames(group, row) {
  return row.cells.map((_, block) => moduleName(group, row, block));
}

function moduleCell(names) {
  return element("span", { role: "gridcell", tabindex: "-1", "data-names": names.join(" ") });
}

function headCell(role, text, names) {
  return element("span", { role, tabindex: "-1", "data-names": names.join(" ") }, text);
}

function nameHeads(group, rowHeads, columnHeads) {
  const group_name = texts.network.groups[group.kind];
  rowHeads.forEach((head) => setAttribute(head, "aria-label", fill(texts.network.row_head, { part: head.textContent })));
  columnHeads.forEach((head, block) => {
    setAttribute(head, "aria-label", fill(texts.network.block_head, { group: group_name, block }));
  });
}

/** Colour, name and what a screen reader calls selected. */
function showSelected(cell, { state }) {
  if (cell.dataset.state === state) return;
  cell.dataset.state = state;
  setAttribute(cell, "aria-selected", String(state === "trained"));
  setAttribute(cell, "aria-label", fill(texts.network.cell, { name: cell.dataset.names, state: texts.network.states[state] }));
}

function namesAt(event) {
  return event.target.closest("[data-names]")?.dataset.names.split(" ");
}

function onKey(event, places) {
  const row = places.findIndex((cells) => cells.includes(event.target));
  if (row < 0) return;
  const column = places[row].indexOf(event.target);
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    event.target.click();
    return;
  }
  const to = target(event, places, row, column);
  if (!to) return;
  event.preventDefault();
  if (to.dataset.names) to.focus();
}

function target(event, places, row, column) {
  const move = MOVES[event.key];
  if (move) return places[row + move[0]]?.[column + move[1]];
  if (event.key === "Home") return places[event.ctrlKey ? 0 : row][0];
  if (event.key === "End") return places[event.ctrlKey ? places.length - 1 : row].at(-1);
  return undefined;
}

/** Tab comes to the cell that had the focus last, and goes on behind the grid. */
function letTabReach(cell, places) {
  for (const other of places.flat()) {
    if (other.dataset.names) setAttribute(other, "tabindex", other === cell ? "0" : "-1");
  }
}
