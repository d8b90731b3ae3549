// The lines of a log as rows: the last ones as they come, a page from any place, or those that a search found.

import { element } from "./dom.js";
import { colouredParts, plainText } from "./log_colours.js";
import { LogLines } from "./log_lines.js";
import { formatCount } from "./numbers.js";
import { fill, texts } from "./texts.js";

const LINES = 5000;

/**
 * Rows inside an element: {begin(), add(text), search(text), showPage(first, lines), showFound(matches, text, open),
 * showLive(), log: LogLines, found}. While a page or what was found is shown, new lines wait for `showLive`.
 */
export function logRows(container) {
  let wanted = "";
  let isLive = true;
  let log = new LogLines(LINES);

  function add(text) {
    const before = log.dropped;
    const firstChanged = log.push(text) - log.dropped;
    if (!isLive) return;
    for (let gone = log.dropped - before; gone > 0 && container.firstChild; gone -= 1) container.firstChild.remove();
    const fresh = document.createDocumentFragment();
    log.lines.slice(firstChanged).forEach((line, index) => {
      const row = container.childNodes[firstChanged + index];
      if (row) fillRow(row, line, wanted);
      else fresh.append(fillRow(element("div"), line, wanted));
    });
    container.append(fresh);
  }

  function showLive() {
    isLive = true;
    container.replaceChildren(...log.lines.map((line) => fillRow(element("div"), line, wanted)));
  }

  return {
    begin() {
      log = new LogLines(LINES);
      isLive = true;
      container.replaceChildren();
    },
    add,
    showLive,
    search(text) {
      wanted = text.toLowerCase();
      if (isLive) container.childNodes.forEach((row, index) => fillRow(row, log.lines[index], wanted));
      else showLive();
    },
    showPage(first, lines) {
      isLive = false;
      container.replaceChildren(...lines.map((line, index) => fillRow(element("div", { "data-line": first + index }), clean(line), "")));
    },
    showFound(matches, text, open) {
      isLive = false;
      wanted = text.toLowerCase();
      container.replaceChildren(...matches.map(([number, line]) => foundRow(number, clean(line), { wanted, open })));
    },
    get isLive() {
      return isLive;
    },
    get log() {
      return log;
    },
    /** How many lines have the wanted text; undefined while nothing is searched. */
    get found() {
      return wanted ? log.lines.filter((line) => plainText(line).toLowerCase().includes(wanted)).length : undefined;
    },
  };
}

/** A line of the server's as the page shows it: without escapes that are no colours. */
function clean(line) {
  const one = new LogLines(1);
  one.push(line);
  return one.lines[0];
}

/** A line that was found, with its number as a button that opens the place. */
function foundRow(number, line, { wanted, open }) {
  const row = fillRow(element("div"), line, wanted);
  row.hidden = false; // the server has found it, written over or not
  const button = element("button", { type: "button", class: "loom-link", "aria-label": fill(texts.log.open_line, { line: formatCount(number + 1) }), onclick: () => open(number) }, formatCount(number + 1));
  row.prepend(button, " ");
  return row;
}

function fillRow(row, line, wanted) {
  const text = plainText(line).trimEnd();
  const at = wanted ? text.toLowerCase().indexOf(wanted) : -1;
  row.hidden = wanted !== "" && at < 0;
  if (at >= 0) row.replaceChildren(text.slice(0, at), element("mark", {}, text.slice(at, at + wanted.length)), text.slice(at + wanted.length));
  else if (!line.includes("\x1b")) row.textContent = text;
  else row.replaceChildren(...colouredParts(line.trimEnd()).map(([part, style]) => (style ? element("span", { class: style }, part) : part)));
  return row;
}
