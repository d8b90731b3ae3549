// What is wrong or doubtful about patterns, in words under their lists; what was probably meant is one click away.

import { element } from "./dom.js";
import { setFields } from "./form_values.js";
import { goToRow, listLines } from "./list_rows.js";
import { fill, texts } from "./texts.js";

const IS_ERROR = { invalid: true, too_slow: true };

/** A note for each finding of the map's reports; read out as they change. */
export function findingsView() {
  const node = element("div", { class: "loom-findings", role: "status" });
  return {
    element: node,
    update(map) {
      const found = map.reports.map((report, index) => ({ ...report, row: rowOf(map.reports, index) }));
      node.replaceChildren(...found.filter(({ finding }) => finding).map(note));
    },
  };
}

/** The number of a report's pattern in its own list. */
function rowOf(reports, index) {
  return reports.slice(0, index).filter(({ option }) => option === reports[index].option).length;
}

function note(report) {
  const { option, pattern, finding, count, suggestion, fault, position, row } = report;
  const level = IS_ERROR[finding] ? "error" : "warning";
  const told = fill(texts.network.findings[finding], { pattern, count, fault });
  return element(
    "div",
    { class: `loom-note loom-${level}` },
    element("span", { role: "img", "aria-label": texts.network.levels[level] }, level === "error" ? "✕" : "▲"),
    ` ${told} `,
    suggestion ? suggestionLink(report) : "",
    element("button", { type: "button", class: "loom-link", onclick: () => goToRow(option, row, position) }, texts.network.show),
  );
}

/** "Did you mean …?": a click writes it in the pattern's place. */
function suggestionLink({ option, row, suggestion }) {
  const replace = () => {
    const lines = listLines(option);
    lines[row] = suggestion;
    setFields({ [option]: lines.join("\n") });
  };
  const asked = texts.network.did_you_mean;
  const [before, after] = asked.split("{pattern}");
  const link = element("button", { type: "button", class: "loom-link", onclick: replace }, element("code", {}, suggestion));
  return element("span", {}, before, link, `${after} `);
}
