// Looking into one LoRA file, or two side by side: what they tell of themselves, and their norms as a picture.

import { element } from "./dom.js";
import { importIntoForm } from "./form_import.js";
import { messageLine } from "./message_line.js";
import { largestNorm, normMap } from "./norm_map.js";
import { formatBytes, formatCount, formatValue } from "./numbers.js";
import { get } from "./request.js";
import { fill, texts } from "./texts.js";
import { button, pathField } from "./tools_fields.js";

/** The cards: {element, look(path)}. onLook(path): the first file was read. */
export function lookCards({ onLook }) {
  const fields = [texts.tools.look.first, texts.tools.look.second].map((label, index) => pathField(`tools-look-${index}`, label));
  const message = messageLine();
  const found = element("div", { class: "loom-tools-found" });
  const form = element(
    "form",
    { onsubmit: (event) => { event.preventDefault(); look(); } },
    element("div", { class: "loom-tools-pair" }, ...fields.map((field) => field.element)),
    element("div", { class: "loom-tools-actions" }, element("button", { type: "submit", class: "loom-button loom-primary" }, texts.tools.look.button), message.element),
  );
  const card = element("section", { class: "loom-panel", "aria-label": texts.tools.look.title }, element("h2", {}, texts.tools.look.title), element("p", { class: "loom-muted" }, texts.tools.look.about), form);
  let asked = 0;

  async function look() {
    const turn = ++asked;
    message.tell(texts.tools.look.reading);
    try {
      const paths = fields.map(({ input }) => input.value.trim());
      const files = await Promise.all(paths.filter((path, index) => path || !index).map((path) => get("lora/facts", { path })));
      if (turn !== asked) return; // another look was asked for meanwhile
      show(files);
      message.tell("");
      onLook(files[0].path);
    } catch (error) {
      if (turn !== asked) return;
      found.replaceChildren();
      message.fail(error);
    }
  }

  function show(files) {
    const most = largestNorm(files);
    const point = (names) => maps.forEach((map) => map.point(names));
    const maps = files.map((told, index) => normMap(told, { most, onPoint: point, id: `tools-norm-${index}` }));
    found.replaceChildren(
      panel(texts.tools.facts.title, comparison(files, factsOf), ...trainedWith(files), fillButtons(files, message.tell), ...otherMetadata(files)),
      panel(texts.tools.norms.heading, element("p", { class: "loom-muted" }, texts.tools.norms.about), element("div", { class: "loom-tools-pair" }, ...maps.map((map, index) => mapColumn(map, files, index)))),
    );
  }

  return {
    element: element("div", { class: "loom-tools-look" }, card, found),
    look(path) {
      fields[0].input.value = path;
      fields[0].input.scrollIntoView({ block: "center" });
      look();
    },
  };
}

function mapColumn(map, files, index) {
  const title = files.length > 1 ? [element("h2", {}, files[index].name)] : [];
  return element("div", {}, ...title, map.element);
}

/** What the file itself is. */
function factsOf(told) {
  const list = (values) => values.map((value) => Number(value.toPrecision(6))).join(", ");
  return [
    [texts.tools.facts.naming, texts.tools.namings[told.naming]],
    [texts.tools.facts.kinds, told.kinds.join(", ")],
    [texts.tools.facts.modules, formatCount(told.module_count)],
    [texts.tools.facts.ranks, list(told.ranks)],
    [texts.tools.facts.alphas, list(told.alphas)],
    [texts.tools.facts.numbers, formatCount(told.numbers)],
    [texts.tools.facts.dtypes, told.dtypes.join(", ")],
    [texts.tools.facts.size, formatBytes(told.size)],
    [texts.tools.facts.norm, told.norm === null ? texts.tools.norms.broken : formatValue(told.norm)],
  ];
}

/** A table of names and values, a column for each file; what differs is marked. rowsOf(file): [[name, value]]. */
function comparison(files, rowsOf) {
  const columns = files.map((told) => new Map(rowsOf(told)));
  const names = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  const head = element("tr", {}, element("th", { scope: "col" }, texts.tools.facts.what), ...files.map(({ name }) => element("th", { scope: "col" }, name)));
  const rows = names.map((name) => {
    const values = columns.map((column) => column.get(name) ?? "–");
    const differs = new Set(values).size > 1;
    const mark = differs ? [" ", element("b", { class: "loom-tools-differs" }, texts.tools.facts.differs)] : [];
    return element("tr", {}, element("th", { scope: "row" }, name, ...mark), ...values.map((value, index) => element("td", { "data-file": files[index].name }, value)));
  });
  return element("table", { class: "loom-settings-table loom-tools-table" }, element("thead", {}, head), element("tbody", {}, ...rows));
}

/** What the metadata says of the training, in words. */
function trainedWith(files) {
  if (!files.some(({ known }) => known.length)) return [element("p", { class: "loom-muted" }, texts.tools.facts.untold)];
  return [element("h3", {}, texts.tools.facts.training), comparison(files, ({ known }) => known)];
}

function otherMetadata(files) {
  if (!files.some(({ metadata }) => metadata.length)) return [];
  return [element("details", {}, element("summary", {}, texts.tools.facts.metadata), comparison(files, ({ metadata }) => metadata))];
}

function fillButtons(files, tell) {
  const buttons = files.map(({ path, name }) => button(files.length > 1 ? fill(texts.tools.look.fill_from, { file: name }) : texts.tools.look.fill, async () => {
    if (!(await importIntoForm(path))) tell(texts.tools.look.not_filled);
  }));
  return element("div", { class: "loom-tools-actions" }, ...buttons);
}

function panel(title, ...parts) {
  return element("section", { class: "loom-panel", "aria-label": title }, element("h2", {}, title), ...parts);
}
