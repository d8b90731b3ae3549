// The Train form: opening a section, finding an option, going to the field of a problem, marking what is wrong.

import { texts } from "./texts.js";

const FIRST_SECTION = "model";

export function startForm() {
  document.addEventListener("click", onClick);
  document.addEventListener("input", (event) => {
    if (event.target.id === "option-search") showHits(event.target);
  });
  document.addEventListener("keydown", onKey);
  openSection(new URLSearchParams(location.search).get("section") ?? FIRST_SECTION);
  new MutationObserver(() => {
    if (!container()?.dataset.open) openSection(FIRST_SECTION);
    markProblems();
  }).observe(document.body, { childList: true, subtree: true });
}

/** Open the section of an option and put the cursor into its field. */
export function goToOption(name) {
  const block = document.getElementById(name);
  const section = block?.closest(".loom-section");
  if (!section) return;
  openSection(section.id.replace("section-", ""));
  block.scrollIntoView({ block: "center" });
  block.querySelector("input, textarea")?.focus();
}

/** Ask the server for the plan again; what it counts on the disk may have changed. */
export function refreshPlan() {
  document.querySelector("#refresh-plan")?.click();
}

function openSection(key) {
  const sections = container();
  if (!sections) return;
  sections.dataset.open = key;
  for (const section of document.querySelectorAll(".loom-section")) {
    section.classList.toggle("loom-open", section.id === `section-${key}`);
  }
  for (const button of navigationButtons()) {
    button.setAttribute("aria-current", String(button.dataset.section === key));
  }
}

function onClick(event) {
  const button = event.target.closest("[data-section]");
  if (button) return openSection(button.dataset.section);
  const link = event.target.closest("[data-option]");
  if (!link) return undefined;
  event.preventDefault();
  hideHits();
  return goToOption(link.dataset.option);
}

function onKey(event) {
  const search = document.getElementById("option-search");
  const typing = event.target.matches("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && search?.offsetParent) {
    event.preventDefault();
    search.focus();
  } else if (event.target === search && event.key === "Enter") {
    document.querySelector("#option-hits [data-option]")?.click();
  } else if (event.target === search && event.key === "Escape") {
    search.value = "";
    hideHits();
  }
}

function showHits(search) {
  const list = document.getElementById("option-hits");
  const wanted = search.value.trim().toLowerCase();
  const found = wanted
    ? JSON.parse(search.dataset.options).filter((entry) => `${entry[0]} ${entry[1]}`.toLowerCase().includes(wanted))
    : [];
  list.replaceChildren(...found.slice(0, 8).map(hit));
  if (wanted && !found.length) list.textContent = texts.search.nothing;
  list.hidden = !wanted;
}

function hit([name, label]) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.option = name;
  button.append(label, Object.assign(document.createElement("small"), { textContent: name }));
  return button;
}

function hideHits() {
  const list = document.getElementById("option-hits");
  if (list) list.hidden = true;
}

/** Mark the fields and sections that the plan's problems name. */
function markProblems() {
  const links = [...document.querySelectorAll("#plan .loom-error [data-option]")];
  const invalid = links.map((link) => link.dataset.option).sort();
  const key = invalid.join(" ");
  if (markProblems.shown === key) return;
  markProblems.shown = key;
  for (const field of document.querySelectorAll(".loom-field")) {
    field.classList.toggle("loom-invalid", invalid.includes(field.id));
  }
  for (const button of navigationButtons()) {
    const section = document.getElementById(`section-${button.dataset.section}`);
    button.classList.toggle("loom-has-problem", Boolean(section?.querySelector(".loom-invalid")));
  }
}

function navigationButtons() {
  return document.querySelectorAll("#loom-sections-nav [data-section]");
}

function container() {
  return document.getElementById("loom-sections");
}
