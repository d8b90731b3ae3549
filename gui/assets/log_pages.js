// Going to any place of a long log: to its start and end, a page on or back, to a line by its number.

import { element, setText } from "./dom.js";
import { formatCount } from "./numbers.js";
import { get, runAddress } from "./request.js";
import { fill, texts } from "./texts.js";

const LINES = 500;

/**
 * {element, begin(), update({isLonger, isFound}), open(line)} beside the rows; line is a number from 0.
 * onPage is called before a page is shown, onLive to go back to the end that grows.
 */
export function logPages(feed, { rows, container, onPage, onLive }) {
  const start = button(texts.log.start, () => show(0));
  const earlier = button(texts.log.earlier, back);
  const later = button(texts.log.later, () => (first + LINES >= total ? onLive() : show(first + LINES)));
  const end = button(texts.log.end, onLive);
  const line = element("input", { type: "number", min: 1, "aria-label": texts.log.line, placeholder: texts.log.line, onchange: () => line.value && open(Number(line.value) - 1) });
  const told = element("span", { class: "loom-muted" });
  const bar = element("div", { class: "loom-log-pages", role: "group", "aria-label": texts.log.places, hidden: true }, start, earlier, later, end, line, told);
  let first;
  let total = 0;

  /** Show the page that begins there; marked: a line in it. */
  async function show(from, marked) {
    const run = feed.run.run;
    const page = await read(run, Math.max(0, from), LINES);
    if (!page || feed.run?.run !== run) return;
    if (!page.lines.length && page.total) return show(page.total - LINES, marked); // beyond the end
    ({ first, total } = page);
    onPage();
    rows.showPage(first, page.lines);
    update({ isLonger: true });
    container.scrollTop = 0;
    const row = marked === undefined ? null : container.querySelector(`[data-line="${marked}"]`);
    row?.classList.add("loom-log-marked");
    row?.scrollIntoView({ block: "nearest" });
  }

  /** A page back: from the end that grows, to what stands before the lines that are shown there. */
  async function back() {
    if (first !== undefined) return show(first - LINES);
    const told = await read(feed.run.run, 0, 0);
    return told && show(told.total - rows.log.lines.length - LINES);
  }

  /** Show the page around a line, and mark it. */
  function open(number) {
    show(Math.max(0, number - 20), number);
  }

  function read(run, from, count) {
    return get(`${runAddress(run, "log")}?from=${from}&count=${count}`).catch(() => null); // told by the header
  }

  function update({ isLonger, isFound = false }) {
    if (rows.isLive || isFound) first = undefined; // no page is shown
    bar.hidden = !isLonger;
    later.disabled = first === undefined;
    end.disabled = rows.isLive;
    start.disabled = first === 0;
    setText(told, first === undefined ? (rows.isLive ? texts.log.last_lines : "") : fill(texts.log.page, { first: formatCount(first + 1), last: formatCount(Math.min(first + LINES, total)), total: formatCount(total) }));
  }

  function begin() {
    first = undefined;
    total = 0;
    bar.hidden = true;
  }

  return { element: bar, begin, update, open };
}

function button(text, action) {
  return element("button", { type: "button", class: "loom-link", onclick: action }, text);
}
