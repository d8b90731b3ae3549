// The stages of stopping as they happen: asked, terminated, killed, gone; the next one with the time until it comes.

import { element, setAttribute, setText } from "./dom.js";
import { formatDuration, formatTime } from "./numbers.js";
import { fill, texts } from "./texts.js";

const STAGES = ["asked", "terminating", "killing"];

/** The stages as chips: {element, update(), end()}. */
export function stopStages(feed) {
  const chips = STAGES.map(() => element("li", { class: "loom-phase" }));
  const list = element("ol", { class: "loom-phases loom-stop-stages", "aria-label": texts.stop.stages.title }, ...chips);
  let told;
  let toldAt = 0;

  function update() {
    const stop = feed.status?.stop;
    if (stop !== told) [told, toldAt] = [stop, performance.now()];
    list.hidden = feed.isOver || !stop;
    if (list.hidden) return;
    const reached = STAGES.indexOf(stop.stage);
    STAGES.forEach((stage, index) => {
      setText(chips[index], wordsOf(stage, stop));
      setAttribute(chips[index], "aria-current", index === reached ? "step" : null);
    });
  }

  function wordsOf(stage, stop) {
    const words = texts.stop.stages[stage];
    if (stop[stage]) return fill(texts.stop.stages.at, { stage: words, time: formatTime(stop[stage]) });
    if (stop.next !== stage) return words;
    const left = stop.next_in_s - stop.elapsed_s - (performance.now() - toldAt) / 1000;
    return fill(texts.stop.stages.in, { stage: words, time: formatDuration(Math.max(0, left)) });
  }

  const timer = setInterval(() => !list.hidden && update(), 1000);
  return { element: list, update, end: () => clearInterval(timer) };
}
