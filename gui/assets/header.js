// The bar at the top of the page: what is running, how far it is, Stop, light or dark. The browser's tab says the same.

import { chosenAppearance, switchAppearance } from "./appearance.js";
import { element, setAttribute, setText } from "./dom.js";
import { languageSwitch } from "./language.js";
import { formatCount, formatDuration, formatSeconds, isNumber } from "./numbers.js";
import { stopButton } from "./stop_button.js";
import { fill, texts } from "./texts.js";

/** Fill the header; returns a function that ends it. */
export function showHeader(container, feed) {
  const dot = element("span", { class: "loom-dot", "aria-hidden": "true" });
  const what = element("span", { class: "loom-header-what" });
  const name = element("b", { class: "loom-header-name" });
  const bar = progressBar();
  const numbers = element("span", { class: "loom-header-numbers" });
  const stop = stopButton(feed);
  const state = element("div", { class: "loom-header-state" }, dot, element("span", { class: "loom-header-run" }, what, " ", name), bar.element, numbers);
  container.replaceChildren(
    element("div", { class: "loom-header" }, element("h1", { class: "loom-brand" }, texts.page.brand), state, stop.element, languageSwitch(), appearanceSwitch()),
    connectionNotice(feed),
  );

  function update() {
    const told = headline(feed);
    setText(what, told.what);
    setText(name, told.name);
    showNumbers(numbers, told.numbers);
    setAttribute(state, "data-state", feed.state ?? "none");
    bar.update(told.share);
    stop.update();
    document.title = told.title;
  }

  update();
  const ends = [feed.subscribe("run", update), feed.subscribe("status", update), showConnection(container, feed)];
  return () => ends.forEach((end) => end());
}

/** A progress bar: {element, update(share)}; share is between 0 and 1, or null where nothing is counted. */
export function progressBar() {
  const filled = element("span");
  const bar = element("div", { class: "loom-bar", role: "progressbar", "aria-label": texts.monitor.progress, "aria-valuemin": 0, "aria-valuemax": 100 }, filled);
  return {
    element: bar,
    update(share) {
      setAttribute(bar, "aria-valuenow", share === null ? null : Math.round(share * 100));
      filled.style.width = `${(share ?? 0) * 100}%`;
    },
  };
}

/** How much of the run is done, between 0 and 1; null where nothing is counted. */
export function shareDone(status) {
  if (!status?.total_steps) return null;
  return Math.min(1, status.step / status.total_steps);
}

/** What the run does or how it ended, in a word or two. */
export function stateInWords(feed) {
  if (feed.state === "running") return texts.kinds[feed.run?.kind] ?? texts.states.running;
  return texts.states[feed.state] ?? "";
}

function headline(feed) {
  if (!feed.run || !feed.status) {
    const what = feed.run === undefined ? texts.page.connecting : texts.page.no_run;
    return { what, name: "", numbers: {}, share: null, title: texts.page.brand };
  }
  const { status } = feed;
  const share = shareDone(status);
  const what = stateInWords(feed);
  const name = feed.run.name ?? feed.run.run;
  const isCounting = share !== null && feed.state !== "finished";
  const progress = isCounting ? `${Math.floor(share * 100)} % ` : "";
  const title = fill(texts.page.title, { what: feed.state === "running" && progress ? progress.trim() : what, name });
  return { what, name, numbers: numbersOf(feed), share, title: `${title} – ${texts.page.brand}` };
}

function numbersOf({ status, state }) {
  const numbers = {};
  if (status.total_steps) {
    numbers.steps = fill(texts.monitor.step_of, { step: formatCount(status.step), total: formatCount(status.total_steps) });
  }
  if (state !== "running" && state !== "stopping") return numbers;
  if (isNumber(status.seconds_per_step)) {
    numbers.speed = fill(texts.monitor.seconds_per_step, { seconds: formatSeconds(status.seconds_per_step) });
  }
  if (isNumber(status.time_left_s)) numbers.left = fill(texts.monitor.time_left, { time: formatDuration(status.time_left_s) });
  return numbers;
}

function showNumbers(list, numbers) {
  const names = Object.keys(numbers);
  while (list.childNodes.length > names.length) list.lastChild.remove();
  names.forEach((name, index) => {
    const part = list.childNodes[index] ?? list.appendChild(element("span"));
    setAttribute(part, "class", `loom-header-${name}`);
    setText(part, numbers[name]);
  });
}

function appearanceSwitch() {
  const button = element("button", { type: "button", class: "loom-appearance" });
  const update = () => {
    const chosen = chosenAppearance();
    setText(button, { system: "◐", light: "☀", dark: "☾" }[chosen]);
    button.title = texts.page.appearance[chosen];
    button.setAttribute("aria-label", texts.page.appearance[chosen]);
  };
  button.addEventListener("click", () => {
    switchAppearance();
    update();
  });
  update();
  return button;
}

function connectionNotice() {
  return element("div", { class: "loom-connection", role: "status", hidden: true }, texts.page.connection_lost);
}

function showConnection(container, feed) {
  const update = () => {
    container.querySelector(".loom-connection").hidden = feed.connected !== false;
  };
  update();
  return feed.subscribe("connection", update);
}
