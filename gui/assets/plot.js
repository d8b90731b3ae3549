// What a plot needs of mathematics: few points out of many, round ticks, linear and logarithmic axes.

/**
 * At most `limit` points [step, value] that keep every peak: the lowest and the highest of each stretch.
 * A step without a value is left out.
 */
export function thinOut(steps, values, limit) {
  const points = [];
  for (let index = 0; index < steps.length; index += 1) {
    if (values[index] !== null) points.push([steps[index], values[index]]);
  }
  if (points.length <= limit) return points;
  const stretches = Math.floor(limit / 2);
  const kept = [];
  for (let stretch = 0; stretch < stretches; stretch += 1) {
    const start = Math.floor((stretch * points.length) / stretches);
    const end = Math.floor(((stretch + 1) * points.length) / stretches);
    let [low, high] = [start, start];
    for (let index = start; index < end; index += 1) {
      if (points[index][1] < points[low][1]) low = index;
      if (points[index][1] > points[high][1]) high = index;
    }
    kept.push(points[Math.min(low, high)]);
    if (low !== high) kept.push(points[Math.max(low, high)]);
  }
  kept[kept.length - 1] = points.at(-1); // where the curve stands now
  return kept;
}

/** The exponential average of the values, unbiased at the start (Kingma and Ba 2015, arXiv:1412.6980, section 3). */
export function smooth(values, weight = 0.9) {
  let [sum, norm] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    norm = weight * norm + (1 - weight);
    return sum / norm;
  });
}

/** An axis from lowest to highest value: {low, high, ticks, place(value) between 0 and 1}. */
export function linearAxis(lowest, highest, { ticks = 5, fromZero = false } = {}) {
  const margin = highest > lowest ? 0 : Math.abs(highest) / 10 || 1;
  const step = roundStep((highest - lowest + 2 * margin) / ticks);
  const low = fromZero ? 0 : Math.floor((lowest - margin) / step) * step;
  const high = Math.ceil((highest + margin) / step - 1e-9) * step;
  const count = Math.round((high - low) / step);
  return {
    low,
    high,
    ticks: Array.from({ length: count + 1 }, (_, index) => low + index * step),
    place: (value) => (value - low) / (high - low),
  };
}

/** The same, logarithmic; both values above 0. */
export function logAxis(lowest, highest) {
  const candidates = [];
  for (let power = Math.floor(Math.log10(lowest)); power <= Math.ceil(Math.log10(highest)); power += 1) {
    for (const digit of [1, 2, 5]) candidates.push(digit * 10 ** power);
  }
  const low = candidates.findLast((tick) => tick <= lowest * (1 + 1e-9));
  const high = candidates.find((tick) => tick >= highest * (1 - 1e-9) && tick > low);
  const inside = candidates.filter((tick) => tick >= low && tick <= high);
  const decades = inside.filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e9) / 1e9));
  const range = Math.log(high / low);
  return {
    low,
    high,
    ticks: inside.length > 7 && decades.length > 1 ? decades : inside,
    place: (value) => Math.log(value / low) / range,
  };
}

/** Where the step axis ends: at the end of the run, nearer while only a small part of it is done. */
export function lastStepShown(step, total) {
  if (!total) return Math.max(step, 1);
  let end = total;
  while (end / 2 >= Math.max(2 * step, 10)) end /= 2;
  return Math.ceil(end);
}

function roundStep(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 5, 10].find((digit) => digit * power >= step * (1 - 1e-9)) * power;
}
