// The samples of the run as a grid, a row for each prompt and a column for each step; clips play where they are seen.

import { element } from "./dom.js";
import { formatCount } from "./numbers.js";
import { runAddress } from "./request.js";
import { sampleComparison } from "./sample_comparison.js";
import { mediaOf, playWhatIsSeen } from "./sample_media.js";
import { fill, texts } from "./texts.js";

const REFRESH_MS = 3000;
const NEAR_END_PX = 24;

/** The grid as a card: {element, update(), end()}. */
export function samplesView(feed) {
  const grid = element("div", { class: "loom-samples-grid", role: "table", "aria-label": texts.samples.title });
  const frame = element("div", { class: "loom-samples-scroll", tabindex: 0, role: "group", "aria-label": texts.samples.grid }, grid);
  const comparison = sampleComparison();
  const hint = element("p", { class: "loom-muted loom-samples-hint" }, texts.samples.hint);
  const card = element(
    "section",
    { class: "loom-panel loom-samples", "aria-label": texts.samples.title, hidden: true },
    element("div", { class: "loom-panel-head" }, element("h2", {}, texts.samples.title), hint),
    comparison.element,
    frame,
  );
  const player = playWhatIsSeen();
  let run;
  let phase;
  let shown = "";
  let timer;

  async function load() {
    clearTimeout(timer);
    timer = undefined;
    const wanted = feed.run?.run;
    if (!wanted) return;
    const answer = await fetch(runAddress(wanted, "samples")).catch(() => null); // told by the header
    if (!answer?.ok || feed.run?.run !== wanted) return;
    show((await answer.json()).samples);
  }

  function show(samples) {
    card.hidden = samples.length === 0;
    const key = JSON.stringify([run, samples]);
    if (key === shown) return; // so that what plays goes on
    shown = key;
    player.forget();
    const wasAtEnd = frame.scrollLeft + frame.clientWidth >= frame.scrollWidth - NEAR_END_PX;
    grid.replaceChildren(...gridRows(samples, { run, onCompare: comparison.toggle }));
    comparison.mark(grid);
    grid.querySelectorAll("video").forEach(player.watch);
    if (wasAtEnd) frame.scrollLeft = frame.scrollWidth; // the newest ones
  }

  function update() {
    if (feed.run?.run !== run) {
      run = feed.run?.run;
      phase = undefined;
      comparison.clear();
      show([]);
      load();
    }
    const now = `${feed.state} ${feed.status?.phase}`;
    if (now !== phase) load();
    else if (feed.status?.phase === "sampling" && !feed.isOver) timer ??= setTimeout(load, REFRESH_MS);
    phase = now;
  }

  return {
    element: card,
    update,
    end: () => {
      clearTimeout(timer);
      player.forget();
    },
  };
}

/** The head with the steps, and a row for each prompt. */
function gridRows(samples, { run, onCompare }) {
  const columns = [...new Map(samples.map((sample) => [columnOf(sample), sample])).keys()];
  const prompts = [...new Set(samples.map((sample) => sample.index))].sort((a, b) => a - b);
  const head = element("div", { role: "row", class: "loom-samples-row" }, element("span", { role: "columnheader" }, texts.samples.prompt), ...columns.map((column) => element("span", { role: "columnheader" }, column)));
  const rows = prompts.map((index) => {
    const own = new Map(samples.filter((sample) => sample.index === index).map((sample) => [columnOf(sample), sample]));
    const prompt = [...own.values()].at(-1).prompt || fill(texts.samples.prompt_number, { number: index + 1 });
    const cells = columns.map((column) => element("div", { role: "cell" }, own.has(column) ? sampleCell(own.get(column), { run, prompt, column, onCompare }) : ""));
    return element("div", { role: "row", class: "loom-samples-row" }, element("span", { role: "rowheader", title: prompt }, element("span", {}, prompt)), ...cells);
  });
  const width = `110px repeat(${columns.length}, 150px)`;
  return [head, ...rows].map((row) => {
    row.style.gridTemplateColumns = width;
    return row;
  });
}

/** "step 200", or "epoch 4"; "at first" for what the model made before it learned anything. */
function columnOf({ step, epoch }) {
  if (epoch === 0) return texts.samples.at_first;
  return step === null ? fill(texts.samples.epoch, { epoch: formatCount(epoch) }) : fill(texts.curves.step, { step: formatCount(step) });
}

function sampleCell(sample, { run, prompt, column, onCompare }) {
  const address = runAddress(run, `samples/${encodeURIComponent(sample.file)}`);
  const name = fill(texts.samples.sample, { prompt, at: column });
  const compare = element("button", { type: "button", class: "loom-chip loom-compare", "aria-pressed": false, "data-sample": sample.file, "aria-label": `${texts.samples.compare}: ${name}` }, texts.samples.compare);
  compare.addEventListener("click", () => onCompare({ ...sample, address, name, column }));
  return element("figure", {}, mediaOf(sample, { address, name, isSmall: true }), compare);
}
