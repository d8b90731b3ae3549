// Which run the page shows: the one that its address names, `?run=NAME`, else whichever is current.

import { element, setText } from "./dom.js";
import { fill, texts } from "./texts.js";

const PARAMETER = "run";

/** Folder name of the run in the page's address, "" for the current one. */
export function chosenRun() {
  return new URLSearchParams(location.search).get(PARAMETER) ?? "";
}

/** Let the feed follow the address, and the address the links to runs. Start goes back to the current run. */
export function followChosenRun(feed) {
  addEventListener("popstate", () => feed.follow(chosenRun()));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-run]");
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey);
    if (link && isPlain) {
      event.preventDefault();
      choose(feed, link.dataset.run);
    } else if (event.target.closest("#start")) {
      choose(feed, "");
    }
  });
  if (chosenRun()) openMonitor();
}

/** A link that shows the run; with "" and a text, whichever is current. */
export function runLink(run, text = run) {
  return element("a", { href: addressOf(run), "data-run": run }, text);
}

/** The way back from a chosen run: {element, update()}. */
export function chosenRunNotice(feed) {
  const title = element("span");
  const notice = element("p", { class: "loom-note loom-chosen-run" }, title, " ", runLink("", texts.chosen_run.back));
  function update() {
    notice.hidden = !feed.chosen;
    setText(title, fill(texts.chosen_run.title, { run: feed.chosen }));
  }
  return { element: notice, update };
}

function choose(feed, run) {
  if (run === chosenRun() && run === feed.chosen) return;
  history.pushState(null, "", addressOf(run));
  feed.follow(run);
}

function addressOf(run) {
  const query = new URLSearchParams(location.search);
  if (run) query.set(PARAMETER, run);
  else query.delete(PARAMETER);
  return `${location.pathname}?${query}`.replace(/\?$/, "");
}

/** Once Gradio has mounted the tabs. */
function openMonitor() {
  const tabs = [...document.querySelectorAll("#loom-tabs [role='tab']")];
  const tab = tabs.find((candidate) => candidate.textContent.trim() === texts.tabs.monitor);
  if (tab?.ariaSelected === "true") return;
  tab?.click();
  requestAnimationFrame(openMonitor);
}
