// The log of the run: its last lines, followed or held, searched, copied.

import { copyText } from "./clipboard.js";
import { element, setText } from "./dom.js";
import { LogLines } from "./log_lines.js";
import { formatCount } from "./numbers.js";
import { fill, texts } from "./texts.js";

const LINES = 5000;
const NEAR_END_PX = 24;
const BY_HAND_MS = 500;

/** The log as a card: {element, tail(count), end()}. */
export function logView(feed) {
  const rows = element("div", { class: "loom-log-rows", tabindex: 0, role: "region", "aria-label": texts.log.title });
  const search = element("input", { type: "search", placeholder: texts.log.search, "aria-label": texts.log.search });
  const follow = element("input", { type: "checkbox", checked: true });
  const matches = element("span", { class: "loom-log-matches", role: "status" });
  const copy = element("button", { type: "button", class: "loom-link", onclick: copyAll }, texts.log.copy);
  const card = element(
    "section",
    { class: "loom-panel loom-log", "aria-label": texts.log.title },
    element("div", { class: "loom-panel-head" }, element("h2", {}, texts.log.title), search, element("label", { class: "loom-check" }, follow, texts.log.follow), copy),
    rows,
    matches,
  );
  let lines;
  let wanted = "";

  function begin() {
    lines = new LogLines(LINES);
    rows.replaceChildren();
    rows.dataset.empty = texts.log.empty;
    add(feed.log);
  }

  function add(text) {
    if (!text) return;
    const before = lines.dropped;
    const firstChanged = lines.push(text);
    for (let gone = lines.dropped - before; gone > 0 && rows.firstChild; gone -= 1) rows.firstChild.remove();
    const fresh = document.createDocumentFragment();
    lines.lines.slice(firstChanged - lines.dropped).forEach((line, index) => {
      const row = rows.childNodes[firstChanged - lines.dropped + index];
      if (row) fillRow(row, line);
      else fresh.append(fillRow(element("div"), line));
    });
    rows.append(fresh);
    showMatches();
    if (follow.checked) scrollToEnd();
  }

  function fillRow(row, line) {
    const text = line.trimEnd();
    const at = wanted ? text.toLowerCase().indexOf(wanted) : -1;
    row.hidden = wanted !== "" && at < 0;
    if (at < 0) row.textContent = text;
    else row.replaceChildren(text.slice(0, at), element("mark", {}, text.slice(at, at + wanted.length)), text.slice(at + wanted.length));
    return row;
  }

  function showMatches() {
    const isCut = feed.logIsCut || lines.dropped > 0;
    if (!wanted) return setText(matches, isCut ? texts.log.cut : "");
    const count = lines.lines.filter((line) => line.toLowerCase().includes(wanted)).length;
    return setText(matches, fill(texts.log.matches, { count: formatCount(count), total: formatCount(lines.lines.length) }));
  }

  function scrollToEnd() {
    rows.scrollTop = rows.scrollHeight;
  }

  async function copyAll() {
    const isCopied = await copyText(lines.lines.join("\n"));
    setText(copy, isCopied ? texts.log.copied : texts.log.copyFailed);
    setTimeout(() => setText(copy, texts.log.copy), 2000);
  }

  search.addEventListener("input", () => {
    wanted = search.value.toLowerCase();
    lines.lines.forEach((line, index) => rows.childNodes[index] && fillRow(rows.childNodes[index], line));
    showMatches();
    if (follow.checked) scrollToEnd();
  });
  follow.addEventListener("change", () => follow.checked && scrollToEnd());
  // A scroll event alone does not tell a person from a change of the layout, which must not end the following.
  let byHandUntil = 0;
  for (const kind of ["wheel", "touchmove", "keydown"]) {
    rows.addEventListener(kind, () => (byHandUntil = performance.now() + BY_HAND_MS), { passive: true });
  }
  rows.addEventListener("pointerdown", () => (byHandUntil = Infinity));
  rows.addEventListener("pointerup", () => (byHandUntil = performance.now() + BY_HAND_MS));
  rows.addEventListener("scroll", () => {
    if (performance.now() > byHandUntil) return;
    follow.checked = rows.scrollTop + rows.clientHeight >= rows.scrollHeight - NEAR_END_PX;
  });
  const seen = new ResizeObserver(() => follow.checked && scrollToEnd());
  seen.observe(rows);

  begin();
  const ends = [feed.subscribe("run", begin), feed.subscribe("log", add), () => seen.disconnect()];
  return { element: card, tail: (count) => lines.tail(count), end: () => ends.forEach((end) => end()) };
}
