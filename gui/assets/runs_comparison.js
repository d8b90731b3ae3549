// Runs compared: their curves over each other, and the settings in which they differ.

import { axesOf, drawing, legendOf, NARROWEST_PX } from "./curve_drawing.js";
import { curveReader } from "./curve_reader.js";
import { element, setAttribute, setText } from "./dom.js";
import { compared, summaryOf } from "./curve_figure.js";
import { formatTime } from "./numbers.js";
import { get, runAddress } from "./request.js";
import { showInTensorBoard } from "./tensorboard_choice.js";
import { texts } from "./texts.js";

const CURVES = ["average", "loss", "gradient_norm"];

/** {element, show(rows), end()}; hidden until there is something to compare. */
export function comparisonView() {
  const plot = element("div", { class: "loom-plot" });
  const reader = curveReader(plot);
  const legend = element("div", { class: "loom-legend" });
  const curve = element("select", { "aria-label": texts.runs.comparison.curve, onchange: draw }, ...CURVES.map((key) => element("option", { value: key }, texts.curves.tabs[key])));
  const log = element("input", { type: "checkbox", onchange: draw });
  const settings = element("div", { class: "loom-runs-scroll", tabindex: 0, role: "group", "aria-label": texts.runs.comparison.settings });
  const problem = element("p", { role: "alert" });
  const board = element("button", { type: "button", class: "loom-button", onclick: () => showInTensorBoard(rows.map((row) => row.run)) }, texts.runs.actions.tensorboard);
  const close = element("button", { type: "button", class: "loom-button", onclick: () => (card.hidden = true) }, texts.samples.close);
  const card = element(
    "section",
    { class: "loom-panel loom-comparison", "aria-label": texts.runs.comparison.title, tabindex: -1, hidden: true },
    element("div", { class: "loom-panel-head" }, element("h2", {}, texts.runs.comparison.title), curve, element("label", { class: "loom-check" }, log, texts.curves.log), board, close),
    problem,
    element("div", { class: "loom-plot-frame" }, plot, reader.tip),
    legend,
    element("h3", {}, texts.runs.comparison.settings),
    settings,
  );
  let rows = [];
  let curves = [];

  async function show(chosen) {
    rows = distinguished(chosen);
    setText(problem, "");
    try {
      const query = rows.map((row) => `run=${encodeURIComponent(row.run)}`).join("&");
      const [told, ...read] = await Promise.all([get(`settings/differing?${query}`), ...rows.map((row) => get(runAddress(row.run, "metrics")))]);
      curves = read;
      settings.replaceChildren(settingsTable(rows, told.settings));
    } catch (error) {
      setText(problem, error.message);
    }
    card.hidden = false;
    draw();
    card.scrollIntoView({ block: "nearest" });
    card.focus({ preventScroll: true });
  }

  function draw() {
    if (plot.clientWidth < NARROWEST_PX) return; // hidden with its tab, or not laid out yet
    const figure = compared(rows.map((row, index) => ({ name: row.title, curve: curves[index]?.[curve.value] })), texts.curves.tabs[curve.value]);
    if (!figure.lines.length) {
      plot.replaceChildren(element("p", { class: "loom-empty" }, texts.curves.no_values));
      legend.replaceChildren();
      return reader.show(undefined);
    }
    const width = plot.clientWidth;
    const axes = axesOf(figure, { width, isLog: log.checked });
    plot.replaceChildren(drawing(figure, { ...axes, width, checkpoints: [] }));
    setAttribute(plot, "aria-label", summaryOf(figure));
    legend.replaceChildren(...legendOf(figure, []));
    return reader.show({ figure, axes });
  }

  const seen = new ResizeObserver(draw);
  seen.observe(plot);
  return { element: card, show, end: () => seen.disconnect() };
}

/** The rows, with their times in the titles of those that are called alike. */
function distinguished(rows) {
  const isAlone = ({ title }) => rows.filter((row) => row.title === title).length === 1;
  return rows.map((row) => (isAlone(row) ? row : { ...row, title: `${row.title} · ${row.started ? formatTime(row.started) : row.run}` }));
}

function settingsTable(rows, settings) {
  if (!settings.length) return element("p", { class: "loom-muted" }, texts.runs.comparison.same);
  const head = element("tr", {}, element("th", { scope: "col" }, texts.runs.comparison.option), ...rows.map((row) => element("th", { scope: "col" }, row.title)));
  const lines = settings.map(({ option, label, values }) =>
    element("tr", {}, element("th", { scope: "row" }, label, " ", element("code", {}, option)), ...values.map((value) => element("td", {}, settingInWords(value)))),
  );
  return element("table", { class: "loom-settings-table" }, element("thead", {}, head), element("tbody", {}, ...lines));
}

function settingInWords(value) {
  if (value === true) return texts.failure.on;
  if (value === false) return texts.failure.off;
  return value || "–";
}
