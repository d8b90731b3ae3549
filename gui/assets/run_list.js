// All runs of the workspace as rows, kept up to date while somebody looks at them.

import { get } from "./request.js";

const INTERVAL_MS = 3000;

/** Rows by the name of their run; `onChange` is called when some have changed: {rows, look(), see(isSeen), end()}. */
export function runList(onChange) {
  const rows = new Map();
  let version = "";
  let isSeen = false;
  let asking;

  /** Ask for what has changed. atOnce: after an action, so that its effect shows. */
  function look({ atOnce = false } = {}) {
    asking = (asking ?? Promise.resolve()).then(() => ask(atOnce)); // one after the other, as each has a version
    return asking;
  }

  async function ask(atOnce) {
    const told = await get(`runs?since=${version}${atOnce ? "&now=1" : ""}`).catch(() => null); // told by the header
    if (!told) return;
    version = told.version;
    if (told.all) rows.clear();
    for (const row of told.rows) rows.set(row.run, row);
    for (const name of told.gone) rows.delete(name);
    if (told.all || told.rows.length || told.gone.length) onChange();
  }

  const timer = setInterval(() => isSeen && !document.hidden && look(), INTERVAL_MS);
  return {
    rows,
    look,
    see(now) {
      if (now && !isSeen) look();
      isSeen = now;
    },
    end: () => clearInterval(timer),
  };
}
