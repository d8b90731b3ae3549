// All runs as a table: searched, filtered by state, sorted by any column, a hundred at a time.

import { element, setAttribute, setText } from "./dom.js";
import { formatCount } from "./numbers.js";
import { runRow } from "./runs_row.js";
import { fill, texts } from "./texts.js";

const AT_ONCE = 100;
const ACTIVE = ["starting", "running"];
const STATES = {
  all: () => true,
  active: (row) => ACTIVE.includes(row.state) || row.state === "queued",
  finished: (row) => row.state === "finished",
  stopped: (row) => row.state === "stopped",
  failed: (row) => ["failed", "crashed"].includes(row.state),
};
/** Each column: what it is sorted by, and which way at first. */
const COLUMNS = {
  name: [(row) => row.title.toLowerCase(), 1],
  state: [(row) => texts.states[row.state], 1],
  started: [(row) => row.started ?? row.submitted ?? 0, -1],
  duration: [(row) => row.seconds ?? 0, -1],
  steps: [(row) => row.step ?? 0, -1],
  loss: [(row) => row.loss ?? Infinity, 1],
  memory: [(row) => row.peak_gpu_bytes || row.peak_memory_bytes || 0, -1],
};

/** {element, update(rows)}; actions: {act, compare(runs)}. */
export function runsTable(actions) {
  const search = element("input", { type: "search", placeholder: texts.runs.search, "aria-label": texts.runs.search, oninput: change });
  const states = element("select", { "aria-label": texts.runs.state_filter, onchange: change }, ...Object.keys(STATES).map((key) => element("option", { value: key }, texts.runs.filters[key])));
  const compare = element("button", { type: "button", class: "loom-button", disabled: true, onclick: () => actions.compare([...chosen].map((name) => all.find((row) => row.run === name)).filter(Boolean)) }, fill(texts.runs.compare_chosen, { count: 0 }));
  const told = element("span", { class: "loom-muted", role: "status" });
  const heads = Object.keys(COLUMNS).map((key) => element("th", { scope: "col", "data-column": key }, element("button", { type: "button", onclick: () => sortBy(key) }, texts.runs.columns[key])));
  const body = element("tbody");
  const head = element("tr", {}, element("td"), ...heads, element("td"));
  const table = element("table", { class: "loom-runs-table" }, element("caption", { class: "loom-unseen" }, texts.runs.title), element("thead", {}, head), body);
  const more = element("button", { type: "button", class: "loom-button", hidden: true, onclick: showMore });
  const nothing = element("p", { class: "loom-muted" });
  const rowViews = new Map();
  const chosen = new Set();
  let all = [];
  let sort = { key: "started", way: -1 };
  let limit = AT_ONCE;

  function change() {
    limit = AT_ONCE;
    show();
  }

  function showMore() {
    const first = limit;
    limit += AT_ONCE;
    show();
    body.querySelectorAll("tr.loom-runs-row")[first]?.querySelector("a")?.focus();
  }

  function sortBy(key) {
    sort = { key, way: sort.key === key ? -sort.way : COLUMNS[key][1] };
    show();
  }

  function choose(run, isChosen) {
    if (isChosen) chosen.add(run);
    else chosen.delete(run);
    showChosen();
  }

  function showChosen() {
    setText(compare, fill(texts.runs.compare_chosen, { count: chosen.size }));
    compare.disabled = chosen.size < 2;
  }

  function show() {
    const matching = sorted(filtered(all, { text: search.value, state: states.value }), sort);
    const shown = matching.slice(0, limit);
    for (const [name, view] of rowViews) if (!shown.some((row) => row.run === name)) view.end(), rowViews.delete(name);
    const focused = document.activeElement;
    let before = body.firstChild;
    for (const row of shown) {
      if (!rowViews.has(row.run)) rowViews.set(row.run, runRow(row, { ...actions, choose }));
      const view = rowViews.get(row.run);
      view.update(row);
      for (const part of view.elements) {
        if (part === before) before = before.nextSibling;
        else body.insertBefore(part, before);
      }
    }
    if (body.contains(focused) && focused !== document.activeElement) focused.focus(); // moving a row takes its focus
    for (const cell of heads) setAttribute(cell, "aria-sort", cell.dataset.column === sort.key ? (sort.way > 0 ? "ascending" : "descending") : null);
    setText(told, fill(texts.runs.shown, { count: formatCount(matching.length), total: formatCount(all.length) }));
    setText(more, fill(texts.runs.more, { count: formatCount(Math.min(AT_ONCE, matching.length - shown.length)) }));
    more.hidden = shown.length === matching.length;
    setText(nothing, all.length ? (matching.length ? "" : texts.runs.none_match) : texts.runs.none);
    table.hidden = all.length === 0;
    showChosen();
  }

  function update(rows) {
    all = rows;
    for (const run of chosen) if (!rows.some((row) => row.run === run)) chosen.delete(run);
    show();
  }

  const panel = element(
    "section",
    { class: "loom-panel loom-runs", "aria-label": texts.runs.title },
    element("div", { class: "loom-panel-head" }, element("h2", {}, texts.runs.title), search, states, told, compare),
    table,
    nothing,
    more,
  );
  return { element: panel, update };
}

function filtered(rows, { text, state }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (!STATES[state](row)) return false;
    const whole = [row.title, row.run, row.notes ?? "", texts.states[row.state], texts.kinds[row.kind] ?? row.kind].join(" ").toLowerCase();
    return words.every((word) => whole.includes(word));
  });
}

function sorted(rows, { key, way }) {
  const valueOf = COLUMNS[key][0];
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  return [...rows].sort((a, b) => way * compare(valueOf(a), valueOf(b)) || (b.submitted ?? 0) - (a.submitted ?? 0));
}
