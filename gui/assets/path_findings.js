// What lies at a path on the server, in words, against what an option wants.

import { ask } from "./ask.js";
import { setText } from "./dom.js";
import { formatBytes } from "./numbers.js";
import { fill, texts } from "./texts.js";

const IS_WRONG = { missing: true, not_a_file: true, not_a_folder: true, damaged: true, unreadable: true, other_weights: true };

/** Tell in an element what lies at each line of the text; an answer is dropped that comes when isCurrent() is over. */
export async function tellPaths(place, option, text, isCurrent) {
  const answers = await Promise.all(linesOf(text).map((path) => ask("paths/check", { option, path })));
  if (!isCurrent() || answers.includes(null)) return;
  place.classList.toggle("loom-doubtful", answers.some(({ finding }) => IS_WRONG[finding]));
  setText(place, answers.map(inWords).join("\n"));
}

export function linesOf(text) {
  return String(text ?? "").split("\n").map((line) => line.trim()).filter(Boolean);
}

function inWords({ kind, size, finding, about, dtypes, wanted }) {
  if (finding) return fill(texts.form.paths.findings[finding], { about, wanted });
  const parts = [kind === "folder" ? texts.form.paths.folder : about, dtypes?.join(", "), size === null ? "" : formatBytes(size)];
  return parts.filter(Boolean).join(" · ");
}
