// Zooming into a drawn figure: a drag over it chooses the steps to show; + and - do it by keys, Escape shows all again.

import { dragMark } from "./curve_drawing.js";

const SMALLEST_DRAG_PX = 8;

/**
 * {range, show(axes), reset()} for a plot. range: [first, last] step, undefined for the whole.
 * pointed(): the step that is pointed at, around which keys zoom. onChange is called when the range is another.
 */
export function curveZoom(plot, { pointed, onChange }) {
  let axes;
  let whole;
  let range;
  let from;

  function set(next) {
    range = next;
    onChange();
  }

  function at(event) {
    return event.clientX - plot.getBoundingClientRect().left;
  }

  function clear() {
    from = undefined;
    plot.querySelector(".loom-dragged")?.remove();
  }

  function down(event) {
    if (axes && event.button === 0) from = at(event);
  }

  function move(event) {
    if (from === undefined) return;
    plot.querySelector(".loom-dragged")?.remove();
    plot.firstChild.append(dragMark(from, at(event)));
  }

  function up(event) {
    if (from === undefined) return;
    const [start, end] = [from, at(event)].sort((a, b) => a - b);
    clear();
    if (end - start >= SMALLEST_DRAG_PX) set(within([Math.floor(axes.stepAt(start)), Math.ceil(axes.stepAt(end))]));
  }

  /** Inside the whole, and at least two steps wide. */
  function within([start, end]) {
    const first = Math.max(whole[0], Math.min(start, whole[1] - 2));
    return [first, Math.min(whole[1], Math.max(end, first + 2))];
  }

  function zoom(factor) {
    const [start, end] = axes.range;
    const middle = pointed() ?? (start + end) / 2;
    const half = ((end - start) * factor) / 2;
    const next = within([Math.round(middle - half), Math.round(middle + half)]);
    set(next[0] <= whole[0] && next[1] >= whole[1] ? undefined : next);
  }

  function key(event) {
    if (!axes) return;
    if (event.key === "+") zoom(0.5);
    else if (event.key === "-" && range) zoom(2);
    else if (event.key === "Escape" && range) set(undefined);
    else return;
    event.preventDefault();
  }

  const listeners = { pointerdown: down, pointermove: move, pointerup: up, pointerleave: clear, dblclick: () => range && set(undefined), keydown: key };
  for (const [kind, listener] of Object.entries(listeners)) plot.addEventListener(kind, listener);
  return {
    get range() {
      return range;
    },
    show(now) {
      axes = now;
      if (!range) whole = now?.range;
    },
    reset() {
      range = undefined;
    },
  };
}
