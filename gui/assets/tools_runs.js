// The last runs of LoRA tools: how far each is, and its result to download or to look into.

import { runLink } from "./chosen_run.js";
import { element, setAttribute, setText } from "./dom.js";
import { formatBytes, formatCount } from "./numbers.js";
import { get, runAddress } from "./request.js";
import { fill, texts } from "./texts.js";
import { button } from "./tools_fields.js";

const ACTIVE = ["queued", "starting", "running"];
const ACTIVE_MS = 1000;
const CALM_MS = 5000;

/** The card: {element, refresh(), end()}. onLook(path): a result is to be looked into. */
export function runsCard({ onLook }) {
  const list = element("ul", { class: "loom-tools-runs" });
  const none = element("p", { class: "loom-muted" }, texts.tools.runs.none);
  const card = element("section", { class: "loom-panel", "aria-label": texts.tools.runs.title }, element("h2", {}, texts.tools.runs.title), none, list);
  const rows = new Map(); // run -> {element, update(told)}
  let timer;
  let isOver = false;

  async function refresh() {
    clearTimeout(timer);
    let isActive = false;
    if (card.offsetParent) {
      const told = await get("lora/runs").catch(() => null); // the header tells of a lost connection
      if (told) show(told.runs);
      isActive = told?.runs.some(({ state }) => ACTIVE.includes(state));
    }
    clearTimeout(timer); // another call may have come meanwhile
    if (!isOver) timer = setTimeout(refresh, isActive || !card.offsetParent ? ACTIVE_MS : CALM_MS);
  }

  function show(runs) {
    none.hidden = runs.length > 0;
    const names = runs.map(({ run }) => run);
    for (const name of rows.keys()) if (!names.includes(name)) rows.delete(name);
    for (const told of runs) {
      if (!rows.has(told.run)) rows.set(told.run, runRow(told, onLook));
      rows.get(told.run).update(told);
    }
    const elements = names.map((name) => rows.get(name).element);
    if (elements.some((node, index) => list.children[index] !== node) || list.children.length !== elements.length) list.replaceChildren(...elements);
  }

  refresh();
  return {
    element: card,
    refresh,
    end() {
      isOver = true;
      clearTimeout(timer);
    },
  };
}

function runRow({ run, title }, onLook) {
  const about = element("span", { class: "loom-muted" });
  const filled = element("span");
  const bar = element("div", { class: "loom-bar", role: "progressbar", "aria-label": fill(texts.tools.runs.progress, { title }), "aria-valuemin": 0 }, filled);
  const why = element("p", { class: "loom-tools-why" });
  const results = element("div", { class: "loom-tools-actions" });
  const row = element("li", {}, element("div", { class: "loom-tools-run-head" }, runLink(run, title), about), bar, why, results);
  let shown;

  function update(told) {
    setAttribute(row, "data-state", told.state);
    const isCounting = told.total_steps > 0 && ACTIVE.includes(told.state);
    const steps = isCounting ? ` · ${fill(texts.monitor.step_of, { step: formatCount(told.step), total: formatCount(told.total_steps) })}` : "";
    setText(about, `${texts.states[told.state]}${steps}`);
    bar.hidden = !isCounting;
    setAttribute(bar, "aria-valuemax", told.total_steps);
    setAttribute(bar, "aria-valuenow", told.step);
    filled.style.width = `${told.total_steps ? (100 * told.step) / told.total_steps : 0}%`;
    setText(why, told.message);
    why.hidden = !told.message;
    const key = JSON.stringify(told.files);
    if (key === shown) return; // so that a focused link stays
    shown = key;
    results.replaceChildren(...told.files.flatMap((file) => resultParts(run, file, onLook)));
  }
  return { element: row, update };
}

function resultParts(run, { name, path, size }, onLook) {
  const link = element("a", { class: "loom-button", href: runAddress(run, `results/${encodeURIComponent(name)}`), download: name }, fill(texts.tools.runs.download, { name, size: formatBytes(size) }));
  const look = button(texts.tools.runs.look, () => onLook(path));
  look.setAttribute("aria-label", `${texts.tools.runs.look}: ${name}`);
  return [link, look];
}
