// The Tools tab: look into LoRA files, and make others of them by runs.

import { element } from "./dom.js";
import { onFileChosen } from "./tools_choice.js";
import { jobCard } from "./tools_job.js";
import { lookCards } from "./tools_look.js";
import { runsCard } from "./tools_runs.js";

/** Fill the tab; returns a function that ends it. */
export function showTools(container) {
  const look = lookCards({ onLook: (path) => job.useFile(path) });
  const job = jobCard({ onStart: () => runs.refresh() });
  const runs = runsCard({ onLook: (path) => look.look(path) });
  container.replaceChildren(look.element, element("div", { class: "loom-tools-pair" }, job.element, runs.element));
  const endChoice = onFileChosen((path) => look.look(path));
  return () => [runs.end, endChoice].forEach((end) => end());
}
