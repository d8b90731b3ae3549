// The pictures and clips of a dataset: a gallery or table of thousands, of which only what is in sight exists.

import { factsOf, itemDetails } from "./dataset_item.js";
import { element, setAttribute, setText } from "./dom.js";
import { messageLine } from "./message_line.js";
import { formatCount } from "./numbers.js";
import { get } from "./request.js";
import { fill, fillCount, texts } from "./texts.js";

const PAGE = 100; // rows that are fetched at once
const CELL = { gallery: { width: 148, height: 176 }, table: { width: Infinity, height: 46 } };
const SPARE_ROWS = 2;
const PAUSE_MS = 250;

/** The card: {element, show(summary)}; null for none. onChange: a caption was written. */
export function itemGallery({ pathOf, onChange }) {
  const state = { shape: "gallery", filter: "", search: "", total: 0, pages: new Map(), look: 0 };
  const filter = element("select", { class: "loom-select", id: "dataset-filter", onchange: () => ((state.filter = filter.value), reload()) });
  const search = element("input", { type: "search", class: "loom-items-search", "aria-label": texts.dataset.search, placeholder: texts.dataset.search, oninput: pausing(() => ((state.search = search.value), reload())) });
  const shapes = ["gallery", "table"].map((shape) => element("button", { type: "button", class: "loom-chip", onclick: () => choose(shape) }, texts.dataset.shapes[shape]));
  const count = element("span", { class: "loom-muted", role: "status" });
  const cells = element("ul", { class: "loom-items-cells" });
  const scroller = element("div", { class: "loom-items", role: "group", tabindex: "0", "aria-label": texts.dataset.items, onscroll: draw }, cells);
  const message = messageLine();
  const details = itemDetails({ pathOf, onChange });
  const card = element(
    "section",
    { class: "loom-panel", "aria-label": texts.dataset.items },
    element("div", { class: "loom-panel-head" }, element("h2", {}, texts.dataset.items), count, element("div", { class: "loom-chips", role: "group", "aria-label": texts.dataset.shape }, ...shapes), element("label", { class: "loom-unseen", for: "dataset-filter" }, texts.dataset.filter), filter, search),
    message.element,
    element("div", { class: "loom-items-columns" }, scroller, details.element),
  );
  new ResizeObserver(draw).observe(scroller);
  mark();

  function show(summary) {
    card.hidden = !summary;
    if (!summary) return;
    const chosen = state.filter;
    const states = ["missing", "stale", "cached"].map((name) => [name, texts.dataset.caches[name], summary[name]]);
    const entries = [["", texts.dataset.all, summary.items], ...states, ...summary.warnings.map(({ id, label, count: found }) => [id, label, found])];
    filter.replaceChildren(...entries.filter(([id, , found]) => !id || found).map(([id, label, found]) => element("option", { value: id, selected: id === chosen }, `${label} (${formatCount(found)})`)));
    state.filter = filter.value;
    reload();
    details.refresh();
  }

  async function reload() {
    state.look += 1;
    state.pages = new Map();
    await fetchPage(0);
    setText(count, fill(texts.dataset.shown, { count: formatCount(state.total) }));
    draw();
  }

  async function fetchPage(page) {
    const { look } = state;
    state.pages.set(page, []);
    try {
      const told = await get("dataset/items", { path: pathOf(), start: page * PAGE, count: PAGE, filter: state.filter, search: state.search });
      if (look !== state.look) return;
      message.tell("");
      state.total = told.total;
      state.pages.set(page, told.rows);
      draw();
    } catch (error) {
      if (look === state.look) message.fail(error);
    }
  }

  /** Put the cells that are in sight, and a little more, where they belong. */
  function draw() {
    const { width, height } = CELL[state.shape];
    const columns = Math.max(1, Math.floor(scroller.clientWidth / width));
    const rows = Math.ceil(state.total / columns);
    cells.style.height = `${rows * height}px`;
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - SPARE_ROWS);
    const last = Math.min(rows, Math.ceil((scroller.scrollTop + scroller.clientHeight) / height) + SPARE_ROWS);
    const wanted = new Map();
    for (let index = first * columns; index < Math.min(state.total, last * columns); index += 1) {
      const page = Math.floor(index / PAGE);
      if (!state.pages.has(page)) fetchPage(page);
      const item = state.pages.get(page)[index % PAGE];
      if (item) wanted.set(`${state.look}-${state.shape}-${item.item}`, [item, index]);
    }
    for (const cell of [...cells.children]) if (!wanted.has(cell.dataset.key)) cell.remove();
    const there = new Map([...cells.children].map((cell) => [cell.dataset.key, cell]));
    for (const [key, [item, index]] of wanted) {
      const cell = there.get(key) ?? cells.appendChild(cellOf(item, key));
      const at = { top: Math.floor(index / columns) * height, left: (index % columns) * (100 / columns) };
      cell.style.cssText = `top:${at.top}px;left:${at.left}%;width:${100 / columns}%;height:${height}px`;
      setAttribute(cell, "aria-posinset", index + 1);
      setAttribute(cell, "aria-setsize", state.total);
    }
  }

  function cellOf(item, key) {
    const picture = element("img", { src: `dataset/thumbnail?${new URLSearchParams({ path: pathOf(), item: item.item, name: item.name })}`, alt: "", loading: "lazy", decoding: "async" });
    picture.addEventListener("error", () => picture.replaceWith(element("span", { class: "loom-items-unreadable" }, texts.dataset.unreadable)));
    const marks = element("span", { class: "loom-items-marks" }, item.doubts ? element("span", { class: "loom-items-doubt", title: fillCount(texts.dataset.doubts, item.doubts) }, `▲ ${item.doubts}`) : "", element("span", { class: "loom-items-cache", "data-cache": item.cache }, texts.dataset.caches[item.cache]));
    const facts = state.shape === "table" ? [element("span", { class: "loom-items-facts" }, factsOf(item), element("span", {}, useOf(item))), element("span", { class: "loom-items-caption" }, item.caption ?? texts.dataset.no_caption)] : [];
    const button = element("button", { type: "button", onclick: () => details.show(item.item) }, picture, element("span", { class: "loom-items-name" }, item.name), ...facts, marks);
    return element("li", { "data-key": key, class: `loom-items-${state.shape}` }, button);
  }

  function choose(shape) {
    state.shape = shape;
    mark();
    draw();
  }

  function mark() {
    ["gallery", "table"].forEach((shape, index) => shapes[index].setAttribute("aria-pressed", String(shape === state.shape)));
  }

  return { element: card, show };
}

/** The bucket that an item is trained at, and into how many windows a clip is cut. */
function useOf({ kind, bucket, wanted }) {
  if (!bucket) return "";
  const [width, height] = bucket;
  const size = fill(texts.dataset.trained_at, { width, height });
  return kind === "image" ? size : `${size} · ${fillCount(texts.dataset.window_count, wanted)}`;
}

function pausing(action) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, PAUSE_MS);
  };
}
