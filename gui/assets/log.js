// The log of the run: its last lines, followed or held, searched, copied.

import { copyText } from "./clipboard.js";
import { element, setText } from "./dom.js";
import { followEnd } from "./log_follow.js";
import { logRows } from "./log_rows.js";
import { formatCount } from "./numbers.js";
import { fill, texts } from "./texts.js";

/** The log as a card: {element, tail(count), end()}. */
export function logView(feed) {
  const container = element("div", { class: "loom-log-rows", tabindex: 0, role: "group", "aria-label": texts.log.lines });
  const search = element("input", { type: "search", placeholder: texts.log.search, "aria-label": texts.log.search });
  const checkbox = element("input", { type: "checkbox", checked: true });
  const matches = element("span", { class: "loom-log-matches" });
  const spoken = element("span", { class: "loom-unseen", role: "status" }); // told what was searched, not each new line
  const rows = logRows(container);
  const follow = followEnd(container, checkbox);
  const copy = copyButton(() => rows.log.lines.join("\n"));

  function begin() {
    rows.begin();
    container.dataset.empty = texts.log.empty;
    add(feed.log);
  }

  function add(text) {
    if (text) rows.add(text);
    setText(matches, aboutLines(rows, { isCut: feed.logIsCut }));
    follow.keep();
  }

  search.addEventListener("input", () => {
    rows.search(search.value);
    add("");
    setText(spoken, search.value ? matches.textContent : "");
  });
  begin();
  const ends = [feed.subscribe("run", begin), feed.subscribe("log", add), follow.end];
  return {
    element: cardOf({ search, checkbox, copy, body: [container, matches, spoken] }),
    tail: (count) => rows.log.tail(count),
    end: () => ends.forEach((end) => end()),
  };
}

function cardOf({ search, checkbox, copy, body }) {
  const follow = element("label", { class: "loom-check" }, checkbox, texts.log.follow);
  return element(
    "section",
    { class: "loom-panel loom-log", "aria-label": texts.log.title },
    element("div", { class: "loom-panel-head" }, element("h2", {}, texts.log.title), search, follow, copy),
    ...body,
  );
}

function copyButton(textOf) {
  const button = element("button", { type: "button", class: "loom-link", onclick: copyAll }, texts.log.copy);
  async function copyAll() {
    const isCopied = await copyText(textOf());
    setText(button, isCopied ? texts.log.copied : texts.log.copy_failed);
    setTimeout(() => setText(button, texts.log.copy), 2000);
  }
  return button;
}

/** How many lines the search found; without one, whether the log was longer. */
function aboutLines({ log, found }, { isCut }) {
  if (found === undefined) return isCut || log.dropped > 0 ? texts.log.cut : "";
  return fill(texts.log.matches, { count: formatCount(found), total: formatCount(log.lines.length) });
}
