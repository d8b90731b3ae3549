// A run as a row of the table, and below it, when it is opened, what can be done with it.

import { runLink } from "./chosen_run.js";
import { element, setAttribute, setText } from "./dom.js";
import { formatBytes, formatCount, formatDuration, formatTime, formatValue, UNKNOWN } from "./numbers.js";
import { runDetails } from "./runs_details.js";
import { fill, texts } from "./texts.js";

const CELLS = ["state", "started", "duration", "steps", "loss", "memory"];

/** {elements: [row, details?], update(row), end()}; actions: {act, choose(run, isChosen)}. */
export function runRow(row, actions) {
  const check = element("input", { type: "checkbox", "aria-label": fill(texts.runs.choose, { name: row.title }), onchange: () => actions.choose(row.run, check.checked) });
  const notes = element("small", { class: "loom-muted loom-runs-notes" });
  const name = element("th", { scope: "row" }, runLink(row.run, row.title), element("small", { class: "loom-muted" }, kindInWords(row)), notes);
  const cells = Object.fromEntries(CELLS.map((key) => [key, element("td", { "data-label": texts.runs.columns[key] })]));
  const more = element("button", { type: "button", class: "loom-button", "aria-expanded": false, "aria-label": fill(texts.runs.details_of, { name: row.title }), onclick: toggle }, texts.runs.details);
  const line = element("tr", { class: "loom-runs-row" }, element("td", {}, check), name, ...Object.values(cells), element("td", {}, more));
  const view = { elements: [line], update, end };
  let details;
  let now = row;

  function toggle() {
    if (details) close();
    else open();
    setAttribute(more, "aria-expanded", Boolean(details));
  }

  function open() {
    details = runDetails(now, actions);
    const whole = element("tr", { class: "loom-runs-details" }, element("td", { colspan: 2 + CELLS.length + 1 }, details.element));
    view.elements.push(whole);
    line.after(whole);
  }

  function close() {
    view.elements.pop().remove();
    details = undefined;
  }

  function update(told) {
    now = told;
    const words = wordsOf(told);
    for (const key of CELLS) {
      setText(cells[key], words[key]);
      setAttribute(cells[key], "data-unknown", words[key] === UNKNOWN ? "" : null);
    }
    setAttribute(line, "data-state", told.state);
    setText(notes, told.notes ?? "");
    details?.update(told);
  }

  function end() {
    for (const part of view.elements) part.remove();
  }

  return view;
}

/** What the cells show. */
function wordsOf(row) {
  const isHeld = row.state === "queued" && row.held;
  const steps = row.total_steps ? fill(texts.monitor.step_of, { step: formatCount(row.step ?? 0), total: formatCount(row.total_steps) }) : UNKNOWN;
  const memory = row.peak_gpu_bytes || row.peak_memory_bytes;
  return {
    state: isHeld ? `${texts.states.queued} · ${texts.runs.queue.held}` : texts.states[row.state],
    started: row.started ? formatTime(row.started) : UNKNOWN,
    duration: row.seconds ? formatDuration(row.seconds) : UNKNOWN,
    steps,
    loss: formatValue(row.loss),
    memory: memory ? `${formatBytes(memory)}${row.peak_gpu_bytes ? "" : ` ${texts.runs.main_memory}`}` : UNKNOWN,
  };
}

function kindInWords(row) {
  return `${texts.kinds[row.kind] ?? row.kind} · ${row.run}`;
}
