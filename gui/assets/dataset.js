// The Dataset tab: the dataset file as a form, and what lies in its folders, with captions, buckets and caching.

import { bucketView } from "./dataset_buckets.js";
import { captionTools } from "./dataset_captions.js";
import { documentForm } from "./dataset_document.js";
import { itemGallery } from "./dataset_items.js";
import { element, setText } from "./dom.js";
import { refreshPlan } from "./form.js";
import { messageLine } from "./message_line.js";
import { formatCount } from "./numbers.js";
import { get, post } from "./request.js";
import { fill, fillCount, texts } from "./texts.js";

const LOOK_AGAIN_MS = 400;

/** Fill the tab; returns a function that ends it. */
export function showDataset(container, feed) {
  const view = { path: "", summary: null, isEnded: false };
  const message = messageLine();
  const look = element("button", { type: "button", class: "loom-button", onclick: () => changed(true) }, texts.dataset.look_again);
  const cache = element("button", { type: "button", class: "loom-button loom-primary", onclick: startCaching }, texts.dataset.cache);
  const counts = element("p", { class: "loom-dataset-counts" });
  const problems = element("ul", { class: "loom-dataset-problems" });
  const gallery = itemGallery({ pathOf: () => view.path, onChange: () => changed(false) });
  const captions = captionTools({ pathOf: () => view.path, onChange: () => changed(false) });
  const buckets = bucketView();
  const form = documentForm({ onOpen: open, onSave: refreshPlan });
  const found = element(
    "div",
    { class: "loom-dataset-found", hidden: true },
    element("section", { class: "loom-panel", "aria-label": texts.dataset.what_lies_there }, element("div", { class: "loom-panel-head" }, element("h2", {}, texts.dataset.what_lies_there), look, cache), message.element, counts, problems, buckets.element),
    gallery.element,
    captions.element,
  );
  container.replaceChildren(element("div", { class: "loom-dataset" }, form.element, found));
  const end = feed.subscribe("status", () => feed.isOver && view.path && inspect(true));
  form.openFormsOwn();

  /** A file was opened or saved. */
  function open(path) {
    view.path = path;
    found.hidden = !path;
    if (path) inspect(true);
  }

  /** What lies there may be another now: the plan counts it too. */
  function changed(again) {
    inspect(again);
    refreshPlan();
  }

  async function inspect(again) {
    const { path } = view;
    try {
      let told = await get("dataset/inspection", again ? { path, again: "1" } : { path });
      while (told.state === "running" && !view.isEnded && path === view.path) {
        setText(counts, fill(texts.dataset.looking[told.stage], { done: formatCount(told.done), total: formatCount(told.total) }));
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
        told = await get("dataset/inspection", { path });
      }
      if (told.state === "done" && path === view.path) show(told);
    } catch (error) {
      setText(counts, error.message);
      gallery.show(null);
      buckets.show([]);
    }
  }

  function show(summary) {
    view.summary = summary;
    setText(counts, countsInWords(summary));
    problems.replaceChildren(...summary.problems.map((problem) => element("li", { class: `loom-note loom-${problem.severity}` }, [problem.message, problem.hint].filter(Boolean).join(". "))));
    cache.disabled = !(summary.missing + summary.stale);
    buckets.show(summary.groups);
    gallery.show(summary);
    captions.show();
  }

  async function startCaching() {
    try {
      const { runs } = await post("dataset/cache", { path: view.path });
      message.tell(fillCount(texts.dataset.caching_queued, runs.length));
    } catch (error) {
      message.fail(error);
    }
  }

  return () => {
    view.isEnded = true;
    end();
  };
}

function countsInWords({ items, pictures, cached, missing, stale, batches }) {
  const values = { pictures, clips: items - pictures, cached, missing, stale, batches };
  return fill(texts.dataset.counts, Object.fromEntries(Object.entries(values).map(([name, count]) => [name, formatCount(count)])));
}
