// The Monitor tab: what the run does, how far it is, its numbers, curves, log and files.

import { chosenRunNotice } from "./chosen_run.js";
import { curvesView } from "./curves.js";
import { element, setAttribute, setText } from "./dom.js";
import { progressBar, shareDone, stateInWords } from "./header.js";
import { logView } from "./log.js";
import { formatCount, formatDuration, formatRate, formatSeconds, formatTime, formatValue, isNumber, UNKNOWN } from "./numbers.js";
import { outcomeView } from "./outcome.js";
import { phaseChips } from "./phases.js";
import { filesView } from "./run_files.js";
import { stopButton } from "./stop_button.js";
import { fill, texts } from "./texts.js";

/** Fill the tab; returns a function that ends it. */
export function showMonitor(container, feed) {
  const log = logView(feed);
  const curves = curvesView(feed);
  const run = runView(feed, log);
  const files = filesView(feed);
  const nothing = element(
    "section",
    { class: "loom-panel loom-nothing" },
    element("h2", {}, texts.monitor.no_run_yet.title),
    element("p", {}, texts.monitor.no_run_yet.text),
  );
  const columns = element(
    "div",
    { class: "loom-monitor-columns" },
    element("div", {}, run.element, curves.element),
    element("div", {}, log.element, files.element),
  );
  const chosen = chosenRunNotice(feed);
  container.replaceChildren(chosen.element, nothing, columns);

  function update() {
    nothing.hidden = feed.run !== null;
    columns.hidden = !feed.run;
    curves.element.hidden = feed.run?.kind !== "train";
    [chosen, run, files].forEach((part) => part.update());
  }

  update();
  const ends = ["run", "status", "metrics", "log"].map((kind) => feed.subscribe(kind, update));
  return () => [...ends, curves.end, log.end].forEach((end) => end());
}

/** The card of the run itself. */
function runView(feed, log) {
  const name = element("h2");
  const about = element("span", { class: "loom-muted loom-run-about" });
  const stop = stopButton(feed);
  const phases = phaseChips(feed);
  const bar = progressBar();
  const count = element("span", { class: "loom-count" });
  const tiles = tilesView(feed);
  const message = element("p", { class: "loom-message loom-muted" });
  const outcome = outcomeView(feed, log);
  const card = element(
    "section",
    { class: "loom-panel loom-run" },
    element("div", { class: "loom-panel-head" }, name, about, stop.element),
    phases.element,
    element("div", { class: "loom-progress" }, bar.element, count),
    message,
    outcome.element,
    tiles.element,
  );

  function update() {
    if (!feed.run) return;
    const { status } = feed;
    setText(name, feed.run.name ?? feed.run.run);
    setText(about, aboutRun(feed));
    setAttribute(card, "data-state", feed.state ?? null);
    bar.update(status ? shareDone(status) : null);
    setText(count, status?.total_steps ? fill(texts.monitor.step_of, { step: formatCount(status.step), total: formatCount(status.total_steps) }) : "");
    setText(message, feed.isOver ? "" : (status?.message ?? ""));
    [stop, phases, tiles, outcome].forEach((part) => part.update());
  }
  return { element: card, update };
}

function aboutRun(feed) {
  const { status } = feed;
  const parts = [stateInWords(feed)];
  if (status?.started) parts.push(fill(texts.monitor.started_at, { time: formatTime(status.started) }));
  const end = endOf(feed);
  if (end) parts.push(fill(texts.monitor.ended_at, { time: formatTime(end) }));
  parts.push(`runs/${feed.run.run}`);
  return parts.filter(Boolean).join(" · ");
}

/** When the run ended, as Unix time; undefined while it goes on. */
function endOf(feed) {
  return feed.isOver ? (feed.status.exit?.at ?? feed.status.updated) : undefined;
}

/** The numbers of the run, each with its name. */
function tilesView(feed) {
  const list = element("dl", { class: "loom-tiles" });
  const tiles = new Map();

  function update() {
    const told = feed.run.kind === "train" ? trainingNumbers(feed) : otherNumbers(feed);
    for (const [key, tile] of tiles) if (!(key in told)) tile.remove(), tiles.delete(key);
    for (const [key, [value, title]] of Object.entries(told)) {
      if (!tiles.has(key)) {
        tiles.set(key, element("div", {}, element("dt", {}, texts.monitor.tiles[key]), element("dd")));
        list.append(tiles.get(key));
      }
      setText(tiles.get(key).lastChild, value);
      setAttribute(tiles.get(key), "title", title ?? null);
    }
  }
  return { element: list, update };
}

function trainingNumbers({ status, series, isOver }) {
  const rates = [...series.learningRates].map(([name, values]) => [name, formatRate(values.at(-1))]);
  const epoch = status?.total_epochs ? fill(texts.monitor.step_of, { step: formatCount(status.epoch), total: formatCount(status.total_epochs) }) : UNKNOWN;
  return {
    average_loss: [formatValue(status?.average_loss)],
    loss: [formatValue(status?.loss)],
    seconds_per_step: [formatSeconds(status?.seconds_per_step)],
    epoch: [epoch],
    learning_rate: [[...new Set(rates.map(([, rate]) => rate))].join(" · ") || UNKNOWN, rates.map((rate) => rate.join(" ")).join(", ")],
    ...timeNumber(status, isOver),
  };
}

function otherNumbers({ status, isOver }) {
  return { items_done: [status?.total_steps ? formatCount(status.step) : UNKNOWN], ...timeNumber(status, isOver) };
}

function timeNumber(status, isOver) {
  if (!isOver) return { time_left: [formatDuration(status?.time_left_s)] };
  const end = status.exit?.at ?? status.updated;
  return { elapsed: [formatDuration(isNumber(status.started) && end ? end - status.started : null)] };
}
