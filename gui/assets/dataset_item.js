// One picture or clip: as it is, as training will see it, its caption to edit, what is doubtful about it.

import { element } from "./dom.js";
import { messageLine } from "./message_line.js";
import { get, post } from "./request.js";
import { fill, fillCount, texts } from "./texts.js";

/** The side beside the gallery: {element, show(item number), refresh()}. */
export function itemDetails({ pathOf, onChange }) {
  const place = element("div", { class: "loom-item", "aria-live": "polite" }, element("p", { class: "loom-muted" }, texts.dataset.choose));
  let shown = null;
  let said = ""; // of a caption that was just saved, as the parts are made anew then

  async function show(number) {
    shown = number;
    try {
      const item = await get("dataset/item", { path: pathOf(), item: number });
      if (shown === number) place.replaceChildren(...parts(item));
    } catch (error) {
      place.replaceChildren(element("p", {}, error.message));
    }
  }

  function parts(item) {
    const warnings = item.warnings.map((warning) => element("li", { class: warning.is_harmless ? "loom-muted" : "loom-note loom-warning" }, warning.text));
    const caches = item.cache_problems.map((problem) => element("li", { class: "loom-note loom-warning" }, [problem.message, problem.hint].filter(Boolean).join(". ")));
    return [
      element("h3", {}, item.name),
      element("p", { class: "loom-muted" }, factsOf(item)),
      preview(item),
      captionField(item),
      element("ul", { class: "loom-item-warnings" }, ...warnings, ...caches),
      element("p", { class: "loom-muted loom-item-path" }, item.path),
    ];
  }

  function preview(item) {
    if (!item.bucket) return element("p", {}, texts.dataset.not_trained);
    const [width, height] = item.bucket;
    const frame = element("input", { type: "range", min: 0, max: Math.max(0, ...item.windows.map(([start, count]) => start + count - 1)), value: 0, "aria-label": texts.dataset.frame, hidden: item.kind === "image", oninput: () => (seen.src = seenAt(item, frame.value)) });
    const seen = element("img", { src: seenAt(item, 0), alt: fill(texts.dataset.seen, { width, height }), style: `aspect-ratio:${width}/${height}` });
    const windows = item.windows.length ? [windowStrip(item, (start) => ((frame.value = start), (seen.src = seenAt(item, start))))] : [];
    const cropped = item.crop ? fill(texts.dataset.crop, { percent: Math.round(item.crop.scale * 100), left: Math.round(item.crop.x), top: Math.round(item.crop.y) }) : "";
    return element("figure", {}, seen, frame, ...windows, element("figcaption", {}, fill(texts.dataset.seen, { width, height }), " ", cropped));
  }

  function seenAt(item, frame) {
    return `dataset/seen?${new URLSearchParams({ path: pathOf(), item: item.item, frame, bucket: item.bucket.join("x") })}`;
  }

  function captionField(item) {
    const field = element("textarea", { id: "dataset-caption", rows: 4, onchange: save, onkeydown: (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && field.blur() });
    field.value = item.caption ?? "";
    const told = messageLine();
    told.tell(said || texts.dataset.caption_help);
    said = "";
    async function save() {
      try {
        await post("dataset/caption", { path: pathOf(), item: item.item, caption: field.value });
        said = texts.dataset.caption_saved;
        told.tell(said);
        onChange();
      } catch (error) {
        told.fail(error);
      }
    }
    return element("div", { class: "loom-settings-row" }, element("label", { for: field.id }, texts.dataset.caption), field, told.element);
  }

  return { element: place, show, refresh: () => shown !== null && document.activeElement?.id !== "dataset-caption" && show(shown) };
}

/** The windows of a clip on its length; pressing one shows its first frame. */
function windowStrip({ frames, windows }, onChoose) {
  const strip = windows.map(([start, count]) => {
    const left = (start / frames) * 100;
    const width = Math.min(100 - left, (count / frames) * 100);
    const name = fill(texts.dataset.window, { first: start + 1, last: start + count });
    return element("li", { style: `margin-left:${left}%;width:${Math.max(1, width)}%` }, element("button", { type: "button", title: name, "aria-label": name, onclick: () => onChoose(start) }));
  });
  return element("ul", { class: "loom-windows", "aria-label": texts.dataset.windows }, ...strip);
}

/** Size, frames and duration of an item in a line. */
export function factsOf({ size, frames, fps, seconds }) {
  if (!size) return texts.dataset.unreadable;
  const facts = [`${size[0]} × ${size[1]}`];
  if (frames !== null) facts.push(fillCount(texts.dataset.frames, frames));
  if (fps) facts.push(`${Number(fps.toFixed(2))} fps`);
  if (seconds) facts.push(`${Number(seconds.toFixed(1))} s`);
  return facts.join(" · ");
}
