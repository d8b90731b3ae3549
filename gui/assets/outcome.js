// How it stands with the run in a sentence, where the progress bar does not say it: waiting, stopping, ended and how.

import { runLink } from "./chosen_run.js";
import { element, setAttribute, setText } from "./dom.js";
import { fill, texts } from "./texts.js";

const LOG_LINES = 8;
const MILD = ["queued", "starting", "stopping", "finished", "stopped"];

/** {element, update()} for the feed's run; a failure shows the end of the log. */
export function outcomeView(feed, log) {
  const sentence = element("p");
  const lines = element("pre");
  const details = element("details", { open: true }, element("summary", {}, texts.outcomes.last_log_lines), lines);
  const note = element("div", { class: "loom-outcome", role: "status" }, sentence, details);

  function update() {
    const text = outcomeInWords(feed);
    note.hidden = !text;
    write(sentence, text, neededRun(feed.status?.exit));
    setAttribute(note, "data-kind", MILD.includes(feed.state) ? feed.state : "error");
    const tail = ["failed", "crashed"].includes(feed.state) ? log.tail(LOG_LINES) : [];
    details.hidden = tail.length === 0;
    setText(lines, tail.join("\n"));
  }

  return { element: note, update };
}

/** Write the text, with the name of a run in it as a link; a text that is there already is left alone. */
function write(sentence, text, run) {
  if (sentence.textContent === text) return;
  const at = run ? text.indexOf(run) : -1;
  if (at < 0) sentence.textContent = text;
  else sentence.replaceChildren(text.slice(0, at), runLink(run), text.slice(at + run.length));
}

function outcomeInWords(feed) {
  const left = feed.isOver ? leftInWords(feed.status.exit) : "";
  return [howItStands(feed), left].filter(Boolean).join(" ");
}

function howItStands({ state, status }) {
  const ended = status?.exit;
  const message = status?.message ?? "";
  switch (state) {
    case undefined:
    case "running":
      return "";
    case "finished":
      return [texts.outcomes.finished, message].filter(Boolean).join(" ");
    case "stopped":
      if (!status.started) return texts.outcomes.cancelled;
      return texts.outcomes[ended?.how] ?? (message ? sentenceOf(message) : texts.outcomes.stopped);
    case "failed":
      return message || reasonOfExit(ended);
    case "crashed":
      return [texts.outcomes.crashed, message].filter(Boolean).join(" ");
    default:
      return texts.outcomes[state] ?? "";
  }
}

/** What of the run survived even the kill; after a stop by force, that nothing did. */
function leftInWords(ended) {
  const processes = (ended?.left ?? []).map((pid) => fill(texts.outcomes.process, { pid }));
  if (processes.length) return fill(texts.outcomes.left, { processes: processes.join(", ") });
  return ["terminated", "killed"].includes(ended?.how) ? texts.outcomes.memory_free : "";
}

function reasonOfExit(ended) {
  const why = /^not started: (.*)$/.exec(ended?.how ?? "")?.[1];
  if (why) return fill(texts.outcomes.not_started, { why });
  return ended?.code ? fill(texts.outcomes.failed_with_code, { code: ended.code }) : texts.outcomes.failed;
}

/** The run because of which this one was not started, unless it is gone: "not started: NAME is failed". */
function neededRun(ended) {
  const [, run, state] = /^not started: (.*) is (\w+)$/.exec(ended?.how ?? "") ?? [];
  return state === "gone" ? undefined : run;
}

function sentenceOf(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
