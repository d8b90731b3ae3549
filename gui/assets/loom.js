// Start of the page's scripts: fills each container as soon as Gradio has mounted it, and again if it mounts it anew.

import { keepAppearance } from "./appearance.js";
import { chosenRun, followChosenRun } from "./chosen_run.js";
import { showDataset } from "./dataset.js";
import { refreshPlan, startForm } from "./form.js";
import { showHeader } from "./header.js";
import { showModuleMap, showSelections } from "./module_map.js";
import { showMonitor } from "./monitor.js";
import { RunFeed } from "./run_feed.js";
import { showRuns } from "./runs.js";
import { showSettings } from "./settings.js";
import { showTensorBoard } from "./tensorboard_frame.js";
import { showTools } from "./tools.js";
import { showWandbLogin } from "./wandb_login.js";

const VIEWS = {
  "loom-dataset": showDataset,
  "loom-header": showHeader,
  "loom-monitor": showMonitor,
  "loom-runs": showRuns,
  "loom-selections": showSelections,
  "loom-module-map": showModuleMap,
  "loom-settings": showSettings,
  "loom-tensorboard": showTensorBoard,
  "loom-tools": showTools,
};

function start() {
  keepAppearance();
  const feed = new RunFeed("events/run", { chosen: chosenRun() });
  followChosenRun(feed);
  const shown = new Map();
  const attach = () => {
    for (const [id, show] of Object.entries(VIEWS)) attachView(id, show, { feed, shown });
    showWandbLogin();
  };
  new MutationObserver(attach).observe(document.body, { childList: true, subtree: true });
  attach();
  startForm();
  refreshPlanAfterRuns(feed);
}

function attachView(id, show, { feed, shown }) {
  const container = document.getElementById(id);
  const before = shown.get(id);
  if (before?.container === container && container?.firstChild) return;
  before?.end();
  shown.delete(id);
  if (container) shown.set(id, { container, end: show(container, feed) });
}

/** What the plan counts on the disk, models and caches, may be another after a run. */
function refreshPlanAfterRuns(feed) {
  let wentOn = false;
  const look = () => {
    const goesOn = feed.state !== undefined && !feed.isOver;
    if (wentOn && !goesOn) refreshPlan();
    wentOn = goesOn;
  };
  feed.subscribe("status", look);
  feed.subscribe("run", look);
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
