// What the curves show: the lines of each tab, in numbers and in words, and where checkpoints were saved.

import { formatCount, formatRate, formatValue } from "./numbers.js";
import { smooth } from "./plot.js";
import { fill, texts } from "./texts.js";

/**
 * What a tab shows: {what, unit, steps, lines: [{name, values, style, steps?}], format}.
 * A line with steps of its own comes from another run. smoothing: weight of what was before, from 0 to below 1.
 */
export function figureOf(series, key, { smoothing = 0.9, under } = {}) {
  const figure = { what: texts.curves.tabs[key], unit: "step", steps: series.steps, format: formatValue };
  const smoothed = (values) => ({ name: fill(texts.curves.smoothed, { weight: smoothing }), values: smooth(values, smoothing), style: "loom-line-main" });
  const each = (values) => ({ name: texts.curves.each, values, style: "loom-line-thin" });
  const withUnder = (told) => ({ ...told, lines: [...underLines(under, key, { smoothing }), ...told.lines] });
  switch (key) {
    case "average":
      return withUnder({ ...figure, lines: [{ name: texts.curves.average, values: series.average, style: "loom-line-main" }] });
    case "epoch":
      return { ...figure, unit: "epoch", ...lossByEpoch(series) };
    case "learning_rate":
      return { ...figure, format: formatRate, lines: [...series.learningRates].map(rateLine) };
    case "gradient_norm":
      return withUnder({ ...figure, lines: [each(series.gradientNorm), smoothed(series.gradientNorm)] });
    default:
      return withUnder({ ...figure, lines: [each(series.loss), smoothed(series.loss)] });
  }
}

/** The curves of several runs over each other. runs: [{name, curve: {steps, values} or undefined}]. */
export function compared(runs, what) {
  const known = runs.filter(({ curve }) => curve?.steps.length);
  const lines = known.map(({ name, curve }, index) => ({ name, ...curve, style: `loom-line-${index % 6}` }));
  const steps = [...new Set(lines.flatMap((line) => line.steps))].sort((a, b) => a - b);
  return { what, unit: "step", steps, lines, format: formatValue };
}

/** The value of a line at the step with this index; null where it has none. */
function valueAt(figure, line, index) {
  if (!line.steps) return line.values[index];
  const step = figure.steps[index];
  if (step < line.steps[0] || step > line.steps.at(-1)) return null;
  return line.values[nearest(line.steps, step)];
}

/** The index of the step nearest to `wanted` in ascending steps. */
export function nearest(steps, wanted) {
  let [low, high] = [0, steps.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > 0 && wanted - steps[low - 1] < steps[low] - wanted ? low - 1 : low;
}

/** Whether there is anything to draw. */
export function hasValues(figure) {
  return figure.lines.some((line) => line.values.some((value) => value !== null));
}

/** The figure in a sentence, for those who do not see it. */
export function summaryOf({ what, unit, steps, lines, format }) {
  const told = lines.map(({ name, values, steps: own = steps }) => {
    const known = values.map((value, index) => [value, own[index]]).filter(([value]) => value !== null);
    if (!known.length) return "";
    const [lowest, at] = known.reduce((best, point) => (point[0] < best[0] ? point : best));
    const [start, end] = [format(known[0][0]), format(known.at(-1)[0])];
    return fill(texts.curves.summary_line[unit], { name, start, end, lowest: format(lowest), at: formatCount(at) });
  });
  const range = { first: formatCount(steps[0]), last: formatCount(steps.at(-1)) };
  return fill(texts.curves.summary[unit], { what, ...range, lines: `${told.filter(Boolean).join("; ")}.` });
}

/** One step in words: "step 959, average 0.1873". */
export function stepInWords(figure, index) {
  const told = valuesAt(figure, index).map(({ line, value }) => `${line.name} ${figure.format(value)}`);
  return [nameOfStep(figure, index), ...told].join(", ");
}

/** "step 959", or "epoch 4". */
export function nameOfStep({ unit, steps }, index) {
  return fill(texts.curves[unit], { step: formatCount(steps[index]) });
}

/** The lines that have a value at a step, each with it: [{line, value}]. */
export function valuesAt(figure, index) {
  const told = figure.lines.map((line) => ({ line, value: valueAt(figure, line, index) }));
  return told.filter(({ value }) => value !== null && value !== undefined);
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

/** The mean loss of each epoch; the last may be under way. */
function lossByEpoch({ epochs, loss }) {
  const sums = new Map();
  epochs.forEach((epoch, index) => {
    if (epoch === null || loss[index] === null) return;
    const [sum, count] = sums.get(epoch) ?? [0, 0];
    sums.set(epoch, [sum + loss[index], count + 1]);
  });
  const values = [...sums.values()].map(([sum, count]) => sum / count);
  return { steps: [...sums.keys()], lines: [{ name: texts.curves.mean, values, style: "loom-line-main" }] };
}

/** The same of an earlier run: {name, curves} as the server sends them. */
function underLines(under, key, { smoothing }) {
  const curve = under?.curves[key];
  if (!curve?.steps.length) return [];
  const values = key === "average" ? curve.values : smooth(curve.values, smoothing);
  return [{ name: under.name, steps: curve.steps, values, style: "loom-line-under" }];
}
