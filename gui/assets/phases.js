// The phases of a run as chips: those behind it with a tick and their time, the one it is in, those to come.

import { element, setAttribute, setText } from "./dom.js";
import { formatDuration, isNumber } from "./numbers.js";
import { texts } from "./texts.js";

const PHASES = { train: ["loading", "training", "saving"] };
const OTHER_PHASES = ["caching"];

/** {element, update()} for the feed's run. */
export function phaseChips(feed) {
  const list = element("ol", { class: "loom-phases" });

  function update() {
    const phases = PHASES[feed.run.kind] ?? OTHER_PHASES;
    while (list.childNodes.length < phases.length) list.append(element("li", { class: "loom-phase" }));
    while (list.childNodes.length > phases.length) list.lastChild.remove();
    const reached = reachedPhase(feed, phases);
    phases.forEach((phase, index) => {
      const chip = list.childNodes[index];
      const isDone = index < reached;
      const isCurrent = index === reached && feed.state !== "queued" && !feed.isOver;
      const time = timeOf(feed, phase);
      const text = `${texts.phases[phase]}${isNumber(time) ? ` ${formatDuration(time)}` : ""}`;
      const isBroken = index === reached && ["failed", "crashed"].includes(feed.state);
      setText(chip, `${isDone ? "✓ " : isBroken ? "✕ " : ""}${text}`);
      setAttribute(chip, "data-broken", isBroken ? "" : null);
      setAttribute(chip, "aria-current", isCurrent ? "step" : null);
    });
  }
  return { element: list, update };
}

/** The index of the phase that the run is in, or in which it ended; the number of phases if all are done. */
function reachedPhase(feed, phases) {
  const phase = feed.status?.phase === "sampling" ? "training" : feed.status?.phase; // samples are made in between
  if (feed.state === "finished" || phase === "done") return phases.length;
  return Math.max(0, phases.indexOf(phase));
}

/** Seconds spent in a phase as far as the files tell: loading ends where the first step begins. */
function timeOf({ status, series }, phase) {
  if (!status?.started) return undefined;
  const firstStep = series.firstTime;
  if (phase === "loading" && firstStep) return firstStep - status.started;
  if (phase === "training" && firstStep) return status.updated - firstStep;
  return undefined;
}
