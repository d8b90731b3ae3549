// The Monitor tab: what the run does, how far it is, its numbers, curves, log and files.

import { chosenRunNotice } from "./chosen_run.js";
import { curvesView } from "./curves.js";
import { element, setAttribute, setText } from "./dom.js";
import { endNotification } from "./end_notification.js";
import { progressBar, shareDone, stateInWords } from "./header.js";
import { logView } from "./log.js";
import { machineView } from "./machine.js";
import { formatCount, formatDuration, formatRate, formatSeconds, formatTime, formatValue, isNumber, UNKNOWN } from "./numbers.js";
import { outcomeView } from "./outcome.js";
import { phaseChips } from "./phases.js";
import { filesView } from "./run_files.js";
import { requestButtons } from "./run_requests.js";
import { samplesView } from "./samples.js";
import { stopButton } from "./stop_button.js";
import { fill, texts } from "./texts.js";
import { wandbView } from "./wandb.js";

/** Fill the tab; returns a function that ends it. */
export function showMonitor(container, feed) {
  const log = logView(feed);
  const curves = curvesView(feed);
  const run = runView(feed);
  const files = filesView(feed);
  const machine = machineView(feed);
  const samples = samplesView(feed);
  const wandb = wandbView(feed);
  const nothing = element(
    "section",
    { class: "loom-panel loom-nothing" },
    element("h2", {}, texts.monitor.no_run_yet.title),
    element("p", {}, texts.monitor.no_run_yet.text),
  );
  const columns = element(
    "div",
    { class: "loom-monitor-columns" },
    element("div", {}, run.element, curves.element, samples.element),
    element("div", {}, machine.element, log.element, files.element, wandb.element),
  );
  const chosen = chosenRunNotice(feed);
  container.replaceChildren(chosen.element, nothing, columns);

  function update() {
    nothing.hidden = feed.run !== null;
    columns.hidden = !feed.run;
    curves.element.hidden = feed.run?.kind !== "train";
    [chosen, run, files, samples, wandb].forEach((part) => part.update());
  }

  update();
  const ends = ["run", "status", "metrics", "log"].map((kind) => feed.subscribe(kind, update));
  return () => [...ends, run.end, curves.end, log.end, machine.end, samples.end, wandb.end].forEach((end) => end());
}

/** The card of the run itself. */
function runView(feed) {
  const name = element("h2");
  const about = element("span", { class: "loom-muted loom-run-about" });
  const requests = requestButtons(feed);
  const stop = stopButton(feed);
  const phases = phaseChips(feed);
  const bar = progressBar();
  const count = element("span", { class: "loom-count" });
  const tiles = tilesView(feed);
  const message = element("p", { class: "loom-message loom-muted" });
  const outcome = outcomeView(feed);
  const troubles = element("ul", { class: "loom-note loom-warning loom-troubles", "aria-label": texts.monitor.troubles });
  const notification = endNotification(feed);
  const card = element(
    "section",
    { class: "loom-panel loom-run" },
    element("div", { class: "loom-panel-head" }, name, about, requests.element, stop.element),
    requests.told,
    phases.element,
    element("div", { class: "loom-progress" }, bar.element, count),
    message,
    outcome.element,
    troubles,
    tiles.element,
    notification.element,
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
    showTroubles(troubles, status?.troubles ?? []);
    [requests, stop, phases, tiles, outcome, notification].forEach((part) => part.update());
  }
  return { element: card, update, end: outcome.end };
}

/** What went wrong and did not end the run. */
function showTroubles(list, troubles) {
  list.hidden = troubles.length === 0;
  const told = troubles.map(({ message }) => message);
  if (list.dataset.told === JSON.stringify(told)) return;
  list.dataset.told = JSON.stringify(told);
  list.replaceChildren(...told.map((message) => element("li", {}, message)));
}

function aboutRun(feed) {
  const { status } = feed;
  const parts = [stateInWords(feed)];
  if (status?.started) parts.push(fill(texts.monitor.started_at, { time: formatTime(status.started) }));
  const end = endOf(feed);
  if (end) parts.push(fill(texts.monitor.ended_at, { time: formatTime(end) }));
  parts.push(`runs/${feed.run.run}`);
  if (status?.afterwards?.length) parts.push(fill(texts.monitor.afterwards, { runs: status.afterwards.map(nextInWords).join(", ") }));
  return parts.filter(Boolean).join(" · ");
}

/** A run that waits for this one: a training by its name, too. */
function nextInWords({ kind, name }) {
  return kind === "train" ? `${texts.kinds.train} ${name}` : (texts.kinds[kind] ?? name);
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
    items_per_second: [formatValue(series.lastItems / status?.seconds_per_step)],
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
