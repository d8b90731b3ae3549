// The buckets of a dataset: how many items in each, drawn in the shape of the bucket, and the batches they give.

import { element } from "./dom.js";
import { formatCount } from "./numbers.js";
import { fill, texts } from "./texts.js";

const LONGEST_PX = 44;

/** The picture: {element, show(groups)}. */
export function bucketView() {
  const list = element("ul", { class: "loom-buckets", "aria-label": texts.dataset.buckets });
  return {
    element: list,
    show(groups) {
      const most = Math.max(1, ...groups.map((group) => group.items));
      list.replaceChildren(...groups.map((group) => bucket(group, most)));
    },
  };
}

function bucket(group, most) {
  const [width, height] = group.bucket;
  const scale = LONGEST_PX / Math.max(width, height);
  const shape = element("span", { class: "loom-bucket-shape", "aria-hidden": "true", style: `width:${width * scale}px;height:${height * scale}px` });
  const share = element("span", { class: "loom-bar" }, element("span", { style: `width:${(group.items / most) * 100}%` }));
  const size = group.frames === null ? fill(texts.dataset.bucket_size, { width, height }) : fill(texts.dataset.bucket_clip, { width, height, frames: group.frames });
  const values = { items: formatCount(group.items), repeats: group.repeats, batch_size: group.batch_size, batches: formatCount(group.batches) };
  return element(
    "li",
    {},
    element("span", { class: "loom-bucket-frame" }, shape),
    element("span", { class: "loom-bucket-about" }, element("b", {}, size), share, element("small", {}, fill(texts.dataset.bucket_batches, values))),
  );
}
