// What wandb has of the run: its page there, and a button that sends what was kept offline.

import { element, setText } from "./dom.js";
import { get, post, runAddress } from "./request.js";
import { fill, texts } from "./texts.js";

const LOOK_AGAIN_MS = 2000;
const FIRST_STEPS_MS = 15000;

/** The card: {element, update(), end()}; hidden for a run that does not log to wandb. */
export function wandbView(feed) {
  const link = element("a", { target: "_blank", rel: "noopener noreferrer" }, texts.wandb.open);
  const told = element("p", { class: "loom-muted", role: "status" });
  const sync = element("button", { type: "button", class: "loom-button", onclick: send }, texts.wandb.sync);
  const card = element("section", { class: "loom-panel loom-wandb", "aria-label": texts.wandb.title, hidden: true }, element("h2", {}, texts.wandb.title), link, told, sync);
  let shown;
  let timer;

  async function send() {
    sync.disabled = true;
    try {
      await post(runAddress(feed.run.run, "wandb/sync"));
      look();
    } catch (error) {
      setText(told, error.message);
      sync.disabled = false;
    }
  }

  async function look() {
    clearTimeout(timer);
    const run = feed.run?.run;
    const state = run && (await get(runAddress(run, "wandb")).catch(() => null)); // told by the header
    if (feed.run?.run !== run) return;
    card.hidden = !state?.used;
    if (!state?.used) return;
    link.hidden = !state.address;
    if (state.address) link.href = state.address;
    sync.hidden = !state.unsynced || !feed.isOver;
    sync.disabled = state.syncing;
    setText(told, inWords(state, feed));
    const waits = state.syncing ? LOOK_AGAIN_MS : !state.address && !feed.isOver ? FIRST_STEPS_MS : 0;
    if (waits) timer = setTimeout(look, waits);
  }

  function update() {
    const now = `${feed.run?.run} ${feed.isOver} ${feed.status?.phase}`;
    if (now !== shown) look();
    shown = now;
  }

  return { element: card, update, end: () => clearTimeout(timer) };
}

function inWords({ syncing, failed, unsynced, address }, feed) {
  if (syncing) return texts.wandb.syncing;
  if (failed) return fill(texts.wandb.failed, { why: failed });
  if (unsynced) return feed.isOver ? texts.wandb.offline : texts.wandb.offline_goes_on;
  return address ? "" : feed.isOver ? texts.wandb.sent : texts.wandb.waiting;
}
