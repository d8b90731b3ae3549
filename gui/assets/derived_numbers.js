// What follows from the numbers in fields, told below them: the scale under alpha, both learning rates under LoRA+.

import { element, setText } from "./dom.js";
import { subscribeToMap } from "./module_map_feed.js";
import { fill, texts } from "./texts.js";

export function startDerivedNumbers() {
  subscribeToMap(({ scale, rates }) => {
    tell("network_alpha", scale === null ? "" : fill(texts.network.scale, { scale }));
    tell("loraplus_lr_ratio", rates ? fill(texts.network.rates, rates) : "");
  });
}

function tell(option, text) {
  const block = document.getElementById(option);
  if (!block) return;
  if (!block.querySelector("output")) block.append(element("output", { class: "loom-derived" }));
  setText(block.querySelector("output"), text);
}
