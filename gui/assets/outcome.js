// How it stands with the run in a sentence, where the progress bar does not say it: waiting, stopping, ended and how.

import { element, setAttribute, setText } from "./dom.js";
import { fill, texts } from "./texts.js";

const LOG_LINES = 8;
const MILD = ["queued", "starting", "stopping", "finished", "stopped"];

/** {element, update()} for the feed's run; a failure shows the end of the log. */
export function outcomeView(feed, log) {
  const sentence = element("p");
  const lines = element("pre");
  const details = element("details", { open: true }, element("summary", {}, texts.lastLogLines), lines);
  const note = element("div", { class: "loom-outcome", role: "status" }, sentence, details);

  function update() {
    const text = outcomeInWords(feed);
    note.hidden = !text;
    setText(sentence, text);
    setAttribute(note, "data-kind", MILD.includes(feed.state) ? feed.state : "error");
    const tail = ["failed", "crashed"].includes(feed.state) ? log.tail(LOG_LINES) : [];
    details.hidden = tail.length === 0;
    setText(lines, tail.join("\n"));
  }

  return { element: note, update };
}

function outcomeInWords({ state, status }) {
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

function reasonOfExit(ended) {
  const why = /^not started: (.*)$/.exec(ended?.how ?? "")?.[1];
  if (why) return fill(texts.outcomes.notStarted, { why });
  return ended?.code ? fill(texts.outcomes.failedWithCode, { code: ended.code }) : texts.outcomes.failed;
}

function sentenceOf(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
