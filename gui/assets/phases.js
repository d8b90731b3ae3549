// The phases of a run as chips: those behind it with a tick and their time, the one it is in, those to come.

import { element, setAttribute, setText } from "./dom.js";
import { formatDuration, isNumber } from "./numbers.js";
import { texts } from "./texts.js";

const PHASES = { train: ["queued", "loading", "training", "sampling", "saving"], lora: ["queued", "loading", "computing", "saving"] };
const OTHER_PHASES = ["queued", "caching"];

/** {element, update()} for the feed's run. */
export function phaseChips(feed) {
  const list = element("ol", { class: "loom-phases", "aria-label": texts.phases.title });

  function update() {
    const phases = phasesOf(feed.run);
    while (list.childNodes.length < phases.length) list.append(element("li", { class: "loom-phase" }));
    while (list.childNodes.length > phases.length) list.lastChild.remove();
    const now = phaseNow(feed, phases);
    const reached = now === "sampling" ? phases.indexOf("training") : phases.indexOf(now); // samples are made in between
    phases.forEach((phase, index) => {
      const chip = list.childNodes[index];
      const isDone = now === "done" || index < reached;
      const isBroken = phase === now && ["failed", "crashed"].includes(feed.state);
      const time = timeOf(feed, phase);
      const text = `${texts.phases[phase]}${isNumber(time) ? ` ${formatDuration(time)}` : ""}`;
      setText(chip, `${isDone ? "✓ " : isBroken ? "✕ " : ""}${text}`);
      setAttribute(chip, "data-broken", isBroken ? "" : null);
      setAttribute(chip, "aria-current", phase === now && !feed.isOver ? "step" : null);
    });
  }
  return { element: list, update };
}

function phasesOf({ kind, can_sample: canSample }) {
  const phases = PHASES[kind] ?? OTHER_PHASES;
  return canSample ? phases : phases.filter((phase) => phase !== "sampling");
}

/** The phase that the run is in, or in which it ended; "done" if it went through all. */
function phaseNow({ state, status }, phases) {
  if (state === "finished" || status?.phase === "done") return "done";
  if (state === "queued" || !status?.phase) return "queued";
  return phases.includes(status.phase) ? status.phase : phases[1]; // "starting": what it begins with
}

/** Seconds spent in a phase as far as the files tell: loading ends where the first step begins. */
function timeOf({ status, series }, phase) {
  if (!status?.started) return undefined;
  const firstStep = series.firstTime;
  if (phase === "loading" && firstStep) return firstStep - status.started;
  if (phase === "training" && firstStep) return status.updated - firstStep;
  return undefined;
}
