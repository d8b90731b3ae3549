// The lines of a log as rows, of which a search shows those that have the wanted text, and marks it.

import { element } from "./dom.js";
import { LogLines } from "./log_lines.js";

const LINES = 5000;

/** Rows inside an element: {begin(), add(text), search(text), log: LogLines, found}. */
export function logRows(container) {
  let wanted = "";
  let log = new LogLines(LINES);

  function add(text) {
    const before = log.dropped;
    const firstChanged = log.push(text) - log.dropped;
    for (let gone = log.dropped - before; gone > 0 && container.firstChild; gone -= 1) container.firstChild.remove();
    const fresh = document.createDocumentFragment();
    log.lines.slice(firstChanged).forEach((line, index) => {
      const row = container.childNodes[firstChanged + index];
      if (row) fillRow(row, line, wanted);
      else fresh.append(fillRow(element("div"), line, wanted));
    });
    container.append(fresh);
  }

  return {
    begin() {
      log = new LogLines(LINES);
      container.replaceChildren();
    },
    add,
    search(text) {
      wanted = text.toLowerCase();
      container.childNodes.forEach((row, index) => fillRow(row, log.lines[index], wanted));
    },
    get log() {
      return log;
    },
    /** How many lines have the wanted text; undefined while nothing is searched. */
    get found() {
      return wanted ? log.lines.filter((line) => line.toLowerCase().includes(wanted)).length : undefined;
    },
  };
}

function fillRow(row, line, wanted) {
  const text = line.trimEnd();
  const at = wanted ? text.toLowerCase().indexOf(wanted) : -1;
  row.hidden = wanted !== "" && at < 0;
  if (at < 0) row.textContent = text;
  else row.replaceChildren(text.slice(0, at), element("mark", {}, text.slice(at, at + wanted.length)), text.slice(at + wanted.length));
  return row;
}
