// The TensorBoard tab: a frame on the page's own /tensorboard/, made when the tab is first seen and kept up to date.

import { isDark, onAppearanceChange } from "./appearance.js";
import { element, setAttribute, setText } from "./dom.js";
import { chooseRuns, filterOf, onRunsChosen } from "./tensorboard_choice.js";
import { fill, texts } from "./texts.js";

const ADDRESS = "tensorboard/";
const LOGS_NOT_SHOWN = "logs/not_shown";
const RELOAD_MS = 5000; // its own automatic reload cannot be faster than 30 s
const SETTINGS = "_tb_global_settings"; // where TensorBoard keeps its theme: "light" or "dark"

/** Fill the tab; returns a function that ends it. */
export function showTensorBoard(container, feed) {
  let frame;
  let runs = [];
  const bar = choiceBar(feed);
  const missing = element("div", { class: "loom-note loom-warning", role: "status", hidden: true });
  container.replaceChildren(notice(texts.tensorboard.starting));

  async function start() {
    container.replaceChildren(notice(texts.tensorboard.starting));
    const failure = await findFailure(); // asked first: an error would stay in the frame
    if (failure) {
      container.replaceChildren(notice(texts.tensorboard.failed, failure, start));
      return;
    }
    setTheme();
    frame = element("iframe", { src: await addressOf(runs), title: texts.tensorboard.frame });
    container.replaceChildren(bar.element, missing, frame);
    showMissing(missing, frame);
  }

  async function choose(chosen) {
    runs = chosen;
    bar.update(runs);
    if (frame) frame.contentWindow.location.replace(await addressOf(runs));
  }

  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    start();
  });
  seen.observe(container);
  const timer = setInterval(() => {
    if (!frame || !container.offsetParent || document.hidden) return;
    reload(frame);
    showMissing(missing, frame);
  }, RELOAD_MS);
  const endThemes = onAppearanceChange(() => {
    if (!frame) return;
    setTheme();
    frame.contentWindow.location.reload();
  });
  const endChoice = onRunsChosen(choose);
  return () => {
    endChoice();
    seen.disconnect();
    clearInterval(timer);
    endThemes();
  };
}

/** Which runs are shown, and buttons for the run of this page and for all: {element, update(runs)}. */
function choiceBar(feed) {
  const told = element("span", { class: "loom-muted", role: "status" });
  const one = element("button", { type: "button", class: "loom-chip", onclick: () => feed.run && chooseRuns([feed.run.run]) }, texts.tensorboard.this_run);
  const all = element("button", { type: "button", class: "loom-chip", onclick: () => chooseRuns([]) }, texts.tensorboard.all_runs);
  const bar = element("div", { class: "loom-chips loom-tensorboard-choice", role: "group", "aria-label": texts.tensorboard.choice }, all, one, told);

  function update(runs) {
    const isThisRun = runs.length === 1 && runs[0] === feed.run?.run;
    setAttribute(all, "aria-pressed", runs.length === 0);
    setAttribute(one, "aria-pressed", isThisRun);
    setText(told, runs.length && !isThisRun ? fill(texts.tensorboard.chosen, { runs: runs.join(", ") }) : "");
  }

  update([]);
  return { element: bar, update };
}

/** The frame's address; TensorBoard takes the filter of its run list from it. */
async function addressOf(runs) {
  const filter = await filterOf(runs).catch(() => ""); // that the server is gone is told elsewhere
  return filter ? `${ADDRESS}?runFilter=${encodeURIComponent(filter)}#timeseries` : ADDRESS;
}

/** Why TensorBoard does not answer, "" if it does; the server starts it if need be, which takes seconds. */
async function findFailure() {
  try {
    const answer = await fetch(ADDRESS);
    return answer.ok ? "" : await answer.text();
  } catch (error) {
    return error.message;
  }
}

/** Name the log folders that TensorBoard cannot be led to, and say when it had ended and was started again. */
async function showMissing(note, frame) {
  const answer = await fetch(LOGS_NOT_SHOWN).catch(() => null); // that the server is gone is told elsewhere
  if (!answer?.ok) return;
  const { not_shown: folders, restarts, last_end: end } = await answer.json();
  const lines = folders.length ? [texts.tensorboard.not_shown, ...folders] : [];
  if (restarts) lines.push(fill(texts.tensorboard.restarted, { times: restarts, end }));
  note.hidden = !lines.length;
  setText(note, lines.join("\n"));
  if (restarts > Number(note.dataset.restarts ?? restarts)) frame.contentWindow.location.reload(); // it lost its place
  note.dataset.restarts = restarts;
}

function reload(frame) {
  const button = frame.contentDocument?.querySelector(".reload-button");
  if (button && !button.disabled) button.click();
}

function setTheme() {
  let settings = {};
  try {
    settings = JSON.parse(localStorage.getItem(SETTINGS)) ?? {};
  } catch {
    // what stands there is not TensorBoard's; it is replaced
  }
  localStorage.setItem(SETTINGS, JSON.stringify({ ...settings, theme: isDark() ? "dark" : "light" }));
}

function notice(text, details = "", retry = null) {
  return element(
    "div",
    { class: "loom-panel loom-nothing", role: "status" },
    element("p", {}, text),
    ...(details ? [element("pre", {}, details)] : []),
    ...(retry ? [element("button", { type: "button", class: "loom-button", onclick: retry }, texts.tensorboard.retry)] : []),
  );
}
