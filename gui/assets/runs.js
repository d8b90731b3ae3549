// The Runs tab: what waits, all runs as a table, comparing some of them, and the bin.

import { element, setText } from "./dom.js";
import { binView } from "./runs_bin.js";
import { runList } from "./run_list.js";
import { comparisonView } from "./runs_comparison.js";
import { queueView } from "./runs_queue.js";
import { runsTable } from "./runs_table.js";
import { texts } from "./texts.js";

/** Fill the tab; returns a function that ends it. */
export function showRuns(container, feed) {
  const problem = element("p", { class: "loom-note loom-error", role: "alert", hidden: true });
  const list = runList(update);
  const actions = actionsOn(list, problem);
  const queue = queueView(actions);
  const comparison = comparisonView();
  const table = runsTable({ ...actions, compare: comparison.show });
  const bin = binView(actions);
  container.replaceChildren(problem, queue.element, comparison.element, table.element, bin.element);

  function update() {
    const rows = [...list.rows.values()];
    queue.update(rows);
    table.update(rows);
    bin.look();
  }

  const seen = new IntersectionObserver((entries) => list.see(entries.at(-1).isIntersecting));
  seen.observe(container);
  let state;
  const look = () => {
    const now = `${feed.run?.run} ${feed.state}`;
    if (now !== state && container.checkVisibility()) list.look();
    state = now;
  };
  const ends = [feed.subscribe("run", look), feed.subscribe("status", look), list.end, comparison.end];
  return () => [...ends, () => seen.disconnect()].forEach((end) => end());
}

/** {act(action), look()}: do something on the server, show why it was refused, and look again. */
function actionsOn(list, problem) {
  async function act(action) {
    problem.hidden = true;
    try {
      await action();
    } catch (error) {
      setText(problem, error.message || texts.runs.failed);
      problem.hidden = false;
      problem.scrollIntoView({ block: "nearest" });
    }
    await list.look({ atOnce: true });
  }
  return { act, look: () => list.look({ atOnce: true }) };
}
