// The card "Modules to train": common selections above the pattern lists, and the map of all modules below them.

import { element, setAttribute, setText } from "./dom.js";
import { setFields } from "./form_values.js";
import { moduleGrid, moduleName } from "./module_grid.js";
import { clickModules, subscribeToMap } from "./module_map_feed.js";
import { formatCount } from "./numbers.js";
import { findingsView } from "./pattern_findings.js";
import { fill, texts } from "./texts.js";

const DETAIL = "loom-map-detail";

/** The chips that choose a common selection; returns a function that ends it. */
export function showSelections(container) {
  setAttribute(container, "role", "group");
  setAttribute(container, "aria-label", texts.network.common);
  container.className = "loom-chips";
  return subscribeToMap((map) => {
    const has = document.activeElement?.dataset.selection;
    container.replaceChildren(...map.selections.map((selection) => selectionChip(selection, map)));
    if (has) container.querySelector(`[data-selection="${has}"]`)?.focus();
  });
}

/** The map, what is told of the patterns, and the line about the module that is pointed at. */
export function showModuleMap(container) {
  const findings = findingsView();
  const note = element("p", { class: "loom-muted loom-map-note" });
  const places = element("div", { class: "loom-map-groups" });
  const detail = element("p", { class: "loom-map-detail", id: DETAIL });
  const legend = element("p", { class: "loom-map-legend", role: "status" });
  container.replaceChildren(findings.element, note, places, detail, legend);
  let grids = [];
  let layout = "";
  let map = null;
  let pointed = null;

  const point = (names) => {
    pointed = names ?? pointed;
    if (map) showDetail(detail, map, pointed);
  };

  const end = subscribeToMap((told) => {
    findings.update(told);
    if (!told.is_whole && map) return; // a pattern is being typed: what was last whole stays
    map = told;
    setText(note, noteOf(map));
    note.hidden = !noteOf(map);
    if (layout !== layoutOf(map)) {
      layout = layoutOf(map);
      const click = (names) => !map.is_from_weights && clickModules(names);
      grids = map.groups.map((group) => moduleGrid(group, { point, click }));
      places.replaceChildren(...map.groups.flatMap((group, index) => [groupTitle(group), grids[index].element]));
      grids.forEach((grid) => setAttribute(grid.element, "aria-describedby", DETAIL));
    }
    map.groups.forEach((group, index) => grids[index].update(group));
    legend.replaceChildren(...legendOf(map));
    point(null);
  });
  return end;
}

function selectionChip({ key, is_chosen, exclude_patterns, include_patterns }, map) {
  return element(
    "button",
    {
      type: "button",
      class: "loom-chip",
      "data-selection": key,
      "aria-pressed": String(is_chosen),
      title: texts.network.selection_hints[key],
      disabled: map.is_from_weights,
      onclick: () => setFields({ exclude_patterns, include_patterns }),
    },
    texts.network.selections[key],
  );
}

function groupTitle(group) {
  return element("h3", {}, texts.network.groups[group.kind]);
}

/** What makes other grids necessary. */
function layoutOf(map) {
  return JSON.stringify(map.groups.map(({ kind, blocks, rows }) => [kind, blocks, rows.map((row) => row.part)]));
}

function noteOf(map) {
  if (map.is_from_weights) return texts.network.from_weights;
  return map.is_full_size ? texts.network.full_size : "";
}

function legendOf(map) {
  return Object.entries(texts.network.states).map(([state, name]) =>
    element("span", {}, element("i", { "data-state": state, "aria-hidden": "true" }), `${name} ${formatCount(map.counts[state] ?? 0)}`),
  );
}

/** Of one module all that is known; of a head how many of its modules are trained; before, how to point. */
function showDetail(detail, map, names) {
  const found = names ? modulesOf(map).filter((module) => names.includes(module.name)) : [];
  if (!found.length) return setText(detail, texts.network.how_to);
  if (found.length > 1) return setText(detail, headDetail(found));
  return detail.replaceChildren(...moduleDetail(found[0], map));
}

function modulesOf(map) {
  return map.groups.flatMap((group) =>
    group.rows.flatMap((row) =>
      row.cells.map((cell, block) => ({ ...cell, name: moduleName(group, row, block), shape: row.shape })),
    ),
  );
}

function headDetail(modules) {
  const trained = modules.filter(({ state }) => state === "trained").length;
  const same = { first: modules[0].name, last: modules.at(-1).name, trained, count: modules.length };
  return fill(texts.network.head_detail, same);
}

function moduleDetail(module, map) {
  const [inputs, outputs] = module.shape;
  const size = map.rank ? texts.network.parameters_at_rank : texts.network.parameters;
  const told = fill(size, { parameters: formatCount(module.parameters), rank: map.rank });
  return [element("b", {}, element("code", {}, module.name)), ` · ${inputs} → ${outputs} · ${told} · `, ...reason(module, map)];
}

/** Why the module is trained or not, with its patterns as code. */
function reason({ state, pattern, rescued_from }, map) {
  if (map.is_from_weights) return [texts.network.reasons_from_weights[state]];
  const kind = state !== "trained" ? state : pattern ? "rescued" : "trained";
  const parts = texts.network.reasons[kind].split(/(\{\w+\})/);
  const values = { "{pattern}": pattern, "{rescued_from}": rescued_from };
  return parts.map((part) => (part in values ? element("code", {}, values[part]) : part));
}
