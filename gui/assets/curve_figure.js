// What the curves show: the lines of each tab, in numbers and in words, and where checkpoints were saved.

import { formatCount, formatRate, formatValue } from "./numbers.js";
import { smooth } from "./plot.js";
import { fill, texts } from "./texts.js";

/** What a tab shows: {what, steps, lines: [{name, values, style}], format}. */
export function figureOf(series, key) {
  const figure = { what: texts.curves.tabs[key], steps: series.steps, format: formatValue };
  const average = { name: texts.curves.average, values: series.average, style: "loom-line-main" };
  switch (key) {
    case "average":
      return { ...figure, lines: [average] };
    case "learning_rate":
      return { ...figure, format: formatRate, lines: [...series.learningRates].map(rateLine) };
    case "gradient_norm":
      return {
        ...figure,
        lines: [
          { name: texts.curves.each, values: series.gradientNorm, style: "loom-line-thin" },
          { name: texts.curves.smoothed, values: smooth(series.gradientNorm), style: "loom-line-main" },
        ],
      };
    default:
      return { ...figure, lines: [{ name: texts.curves.each, values: series.loss, style: "loom-line-thin" }, average] };
  }
}

/** Whether there is anything to draw. */
export function hasValues(figure) {
  return figure.lines.some((line) => line.values.some((value) => value !== null));
}

/** The figure in a sentence, for those who do not see it. */
export function summaryOf({ what, steps, lines, format }) {
  const told = lines.map(({ name, values }) => {
    const known = values.map((value, index) => [value, steps[index]]).filter(([value]) => value !== null);
    if (!known.length) return "";
    const [lowest, at] = known.reduce((best, point) => (point[0] < best[0] ? point : best));
    const [start, end] = [format(known[0][0]), format(known.at(-1)[0])];
    return fill(texts.curves.summary_line, { name, start, end, lowest: format(lowest), at: formatCount(at) });
  });
  const range = { first: formatCount(steps[0]), last: formatCount(steps.at(-1)) };
  return fill(texts.curves.summary, { what, ...range, lines: `${told.filter(Boolean).join("; ")}.` });
}

/** One step in words: "step 959, average 0.1873". */
export function stepInWords(figure, index) {
  const values = figure.lines.filter((line) => line.values[index] !== null);
  const told = values.map((line) => `${line.name} ${figure.format(line.values[index])}`);
  return [fill(texts.curves.step, { step: formatCount(figure.steps[index]) }), ...told].join(", ");
}

/** The steps at which LoRA files were saved: `NAME-step00000200`, `NAME-000004` after an epoch. */
export function checkpointSteps(files, series) {
  return files.flatMap((file) => {
    const [, step, epoch] = /-(?:step(\d+)|(\d{6}))\.safetensors$/.exec(file) ?? [];
    const at = step ? Number(step) : epoch ? series.steps[series.epochs.lastIndexOf(Number(epoch))] : undefined;
    return at === undefined ? [] : [at];
  });
}

function rateLine([name, values], index) {
  return { name, values, style: ["loom-line-main", "loom-line-second", "loom-line-third"][index % 3] };
}
