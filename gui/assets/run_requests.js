// Asking a training for something while it goes on: a sample, a save, to stop after this epoch.

import { element, setText } from "./dom.js";
import { post, runAddress } from "./request.js";
import { fill, texts } from "./texts.js";

const REQUESTS = ["sample", "save", "stop_after_epoch"];

/** The buttons and what was asked: {element, told, update()}. A button rests until the run has heard it; what cannot be is not shown. */
export function requestButtons(feed) {
  const buttons = REQUESTS.map((what) => [what, element("button", { type: "button", class: "loom-button", onclick: () => ask(what) }, texts.requests[what])]);
  const told = element("p", { class: "loom-muted loom-requests-told", role: "status" });
  const whole = element("div", { class: "loom-requests", role: "group", "aria-label": texts.requests.title }, ...buttons.map(([, button]) => button));

  async function ask(what) {
    setText(told, texts.requests.asked[what]);
    try {
      await post(runAddress(feed.run.run, `ask/${what}`));
    } catch (error) {
      setText(told, fill(texts.stop.failed, { why: error.message }));
    }
  }

  function update() {
    const goesOn = feed.run?.kind === "train" && feed.state === "running";
    whole.hidden = !goesOn;
    const pending = feed.status?.requests ?? [];
    for (const [what, button] of buttons) {
      button.hidden = what === "sample" && !feed.run?.can_sample;
      button.disabled = pending.includes(what);
    }
    const waiting = REQUESTS.filter((what) => pending.includes(what)).map((what) => texts.requests.asked[what]);
    if (goesOn && (waiting.length || Object.values(texts.requests.asked).includes(told.textContent))) setText(told, waiting.join(" "));
  }

  return { element: whole, told, update };
}
