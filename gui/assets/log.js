// The log of the run: its last lines, followed or held, any other place of it, searched, copied.

import { copyText } from "./clipboard.js";
import { element, setText } from "./dom.js";
import { plainText } from "./log_colours.js";
import { followEnd } from "./log_follow.js";
import { logPages } from "./log_pages.js";
import { logRows } from "./log_rows.js";
import { formatCount } from "./numbers.js";
import { get, runAddress } from "./request.js";
import { fill, texts } from "./texts.js";

const TYPING_MS = 300;

/** The log as a card: {element, end()}. */
export function logView(feed) {
  const container = element("div", { class: "loom-log-rows", tabindex: 0, role: "group", "aria-label": texts.log.lines });
  const search = element("input", { type: "search", placeholder: texts.log.search, "aria-label": texts.log.search });
  const checkbox = element("input", { type: "checkbox", checked: true });
  const matches = element("span", { class: "loom-log-matches" });
  const spoken = element("span", { class: "loom-unseen", role: "status" }); // told what was searched, not each new line
  const rows = logRows(container);
  const pages = logPages(feed, { rows, container, onPage: () => (checkbox.checked = false), onLive: goLive });
  const follow = followEnd(container, checkbox);
  const copy = copyButton(() => rows.log.lines.map(plainText).join("\n"));
  let typing;

  function begin() {
    rows.begin();
    pages.begin();
    container.dataset.empty = texts.log.empty;
    add(feed.log);
  }

  function add(text) {
    if (text) rows.add(text);
    if (!rows.isLive) return;
    setText(matches, isWhole() ? aboutLines(rows) : "");
    pages.update({ isLonger: !isWhole() });
    follow.keep();
  }

  /** Whether the rows hold the whole log, so that they can be searched here. */
  function isWhole() {
    return !feed.logIsCut && rows.log.dropped === 0;
  }

  function goLive() {
    checkbox.checked = true;
    search.value = "";
    rows.search("");
    rows.showLive();
    add("");
  }

  function look() {
    if (!search.value || isWhole()) {
      rows.search(search.value);
      add("");
      setText(spoken, search.value ? matches.textContent : "");
      return;
    }
    clearTimeout(typing);
    typing = setTimeout(() => searchAll(search.value), TYPING_MS);
  }

  /** Search the whole file where it lies. */
  async function searchAll(text) {
    setText(matches, texts.log.searching);
    const told = await get(`${runAddress(feed.run.run, "log/search")}?text=${encodeURIComponent(text)}`).catch(() => null); // told by the header
    if (!told || search.value !== text) return;
    rows.showFound(told.matches, text, pages.open);
    checkbox.checked = false;
    pages.update({ isLonger: true, isFound: true });
    const first = told.found > told.matches.length ? ` ${fill(texts.log.first_only, { count: formatCount(told.matches.length) })}` : "";
    setText(matches, fill(texts.log.matches, { count: formatCount(told.found), total: formatCount(told.total) }) + first);
    setText(spoken, matches.textContent);
  }

  search.addEventListener("input", look);
  checkbox.addEventListener("change", () => checkbox.checked && !rows.isLive && goLive());
  begin();
  const ends = [feed.subscribe("run", begin), feed.subscribe("log", add), follow.end, () => clearTimeout(typing)];
  return {
    element: cardOf({ search, checkbox, copy, body: [container, pages.element, matches, spoken] }),
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

/** How many lines the search found. */
function aboutLines({ log, found }) {
  if (found === undefined) return "";
  return fill(texts.log.matches, { count: formatCount(found), total: formatCount(log.lines.length) });
}
