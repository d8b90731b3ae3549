// What waits in the queue, in the order in which it will run: moved by buttons or keys, held, cancelled.

import { runLink } from "./chosen_run.js";
import { element, setAttribute, setText } from "./dom.js";
import { post, runAddress } from "./request.js";
import { fill, texts } from "./texts.js";

/** {element, update(rows)}; hidden while nothing waits. */
export function queueView({ act }) {
  const list = element("ol", { class: "loom-queue" });
  const said = element("span", { class: "loom-unseen", role: "status" });
  const card = element("section", { class: "loom-panel", "aria-label": texts.runs.queue.title, hidden: true }, element("h2", {}, texts.runs.queue.title), element("p", { class: "loom-muted" }, texts.runs.queue.hint), list, said);
  const items = new Map();

  function update(rows) {
    const waiting = rows.filter((row) => row.state === "queued" && !row.foreground).sort((a, b) => (a.position ?? 0) - (b.position ?? 0));
    card.hidden = waiting.length === 0;
    for (const [name, item] of items) if (!waiting.some((row) => row.run === name)) item.element.remove(), items.delete(name);
    const focused = document.activeElement;
    waiting.forEach((row, index) => {
      if (!items.has(row.run)) items.set(row.run, queueItem(row, { act, move, said }));
      const item = items.get(row.run);
      if (list.children[index] !== item.element) list.insertBefore(item.element, list.children[index] ?? null);
      item.update(row, { index, last: waiting.length - 1 });
    });
    if (list.contains(focused) && focused !== document.activeElement) focused.focus(); // moving an element takes its focus
  }

  async function move(row, to) {
    await act(() => post(`${runAddress(row.run, "move")}?to=${to}`));
    setText(said, fill(texts.runs.queue.moved, { name: row.title, place: to + 1 }));
  }

  return { element: card, update };
}

function queueItem(row, { act, move }) {
  const place = element("span", { class: "loom-muted" });
  const name = runLink(row.run, row.title);
  const state = element("span", { class: "loom-muted" });
  const up = iconButton("↑", fill(texts.runs.queue.up, { name: row.title }), () => move(row, index - 1));
  const down = iconButton("↓", fill(texts.runs.queue.down, { name: row.title }), () => move(row, index + 1));
  const hold = element("button", { type: "button", class: "loom-button", onclick: () => act(() => post(runAddress(row.run, isHeld ? "release" : "hold"))) });
  const cancel = element("button", { type: "button", class: "loom-button loom-danger", "aria-label": fill(texts.runs.queue.cancel_run, { name: row.title }), onclick: () => act(() => post(runAddress(row.run, "cancel"))) }, texts.runs.queue.cancel);
  const item = element("li", { onkeydown: onKey }, place, element("span", { class: "loom-queue-name" }, name, " ", state), up, down, hold, cancel);
  let index = 0;
  let last = 0;
  let isHeld = false;

  function onKey(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || !event.altKey || index + by < 0 || index + by > last) return;
    event.preventDefault();
    move(row, index + by);
  }

  function update(now, at) {
    ({ index, last } = at);
    isHeld = Boolean(now.held);
    setText(place, `${index + 1}.`);
    setText(state, [isHeld ? texts.runs.queue.held : "", now.needs ? fill(texts.runs.queue.after, { runs: now.needs.join(", ") }) : ""].filter(Boolean).join(" · "));
    setAttribute(up, "aria-disabled", index === 0);
    setAttribute(down, "aria-disabled", index === last);
    setText(hold, isHeld ? texts.runs.queue.release : texts.runs.queue.hold);
    setAttribute(hold, "aria-label", `${hold.textContent}: ${row.title}`);
  }

  return { element: item, update };

  function iconButton(sign, label, action) {
    const press = (event) => event.currentTarget.ariaDisabled !== "true" && action();
    return element("button", { type: "button", class: "loom-button", "aria-label": label, onclick: press }, sign);
  }
}
