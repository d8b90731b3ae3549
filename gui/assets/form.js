// The Train form: opening a section, going to the field of an option, telling what Start says.

import { startDerivedNumbers } from "./derived_numbers.js";
import { setAttribute } from "./dom.js";
import { readFirst } from "./form_values.js";
import { startMarks } from "./form_marks.js";
import { startNeeds } from "./form_needs.js";
import { startHistoryKeys } from "./form_history.js";
import { markProblems } from "./form_problems.js";
import { dressLists } from "./list_rows.js";
import { restoreOptionLevel, revealOption, showOptions } from "./option_level.js";
import { startOptionSearch } from "./option_search.js";
import { dressPaths } from "./path_fields.js";
import { drawPlanPlots } from "./plan_plots.js";
import { closeSheet, followPlan, startPlanSheet } from "./plan_sheet.js";
import { namePlanTexts } from "./plan_texts.js";
import { followSections } from "./section_choice.js";

const FIRST_SECTION = "model";

export function startForm() {
  document.addEventListener("click", onClick);
  document.addEventListener("change", onChoice);
  startPlanSheet();
  startOptionSearch();
  startDerivedNumbers();
  startMarks({ onMarked: showSections });
  startNeeds();
  startHistoryKeys();
  window.addEventListener("resize", drawPlanPlots);
  new MutationObserver(follow).observe(document.body, { childList: true, subtree: true });
  follow();
}

/** Ask the server for the plan again; what it counts on the disk may have changed. */
export function refreshPlan() {
  document.querySelector("#refresh-plan")?.click();
}

/** What Gradio has mounted since the last look gets what it lacks. */
function follow() {
  if (!container()?.dataset.open) openSection(wantedSection());
  restoreOptionLevel();
  dressLists();
  dressPaths();
  readFirst();
  tellMessages();
  drawPlanPlots();
  namePlanTexts();
  markProblems(navigationButtons());
  followPlan();
  showSections();
}

function showSections() {
  followSections(navigationButtons(), { open: container()?.dataset.open });
}

/** The section that the page's address names, `?section=saving`; the first if there is no such section. */
function wantedSection() {
  const key = new URLSearchParams(location.search).get("section");
  return [...navigationButtons()].some((button) => button.dataset.section === key) ? key : FIRST_SECTION;
}

/** Open the section of an option and put the cursor into its field. */
export function goToOption(name) {
  const block = document.getElementById(name);
  const section = block?.closest(".loom-section");
  if (!section) return;
  closeSheet({ keepFocus: false });
  openSection(section.id.replace("section-", ""));
  revealOption(block);
  block.scrollIntoView({ block: "center" });
  (block.querySelector(".loom-rows input") ?? block.querySelector("input, textarea"))?.focus();
}

function openSection(key) {
  const sections = container();
  if (!sections || !navigationButtons().length) return;
  sections.dataset.open = key;
  for (const section of document.querySelectorAll(".loom-section")) {
    section.classList.toggle("loom-open", section.id === `section-${key}`);
  }
  for (const button of navigationButtons()) {
    button.setAttribute("aria-current", String(button.dataset.section === key));
  }
  showSections();
  document.dispatchEvent(new CustomEvent("loom-section"));
}

function onClick(event) {
  const button = event.target.closest("[data-section]");
  if (button) return openSection(button.dataset.section);
  const level = event.target.closest("#loom-option-level [data-options]");
  if (level) return chooseLevel(level.dataset.options);
  const link = event.target.closest("[data-option]");
  if (!link) return undefined;
  event.preventDefault();
  return goToOption(link.dataset.option);
}

function onChoice(event) {
  if (event.target.id === "section-choice") openSection(event.target.value);
}

function chooseLevel(level) {
  showOptions(level);
  showSections();
}

/** What Start, presets and import answer is read out: its place is a live region before anything stands in it. */
function tellMessages() {
  for (const message of document.querySelectorAll("#start-message, #preset-message, #import-message")) {
    setAttribute(message, "role", "status");
    setAttribute(message, "aria-live", "polite");
  }
}

function navigationButtons() {
  return document.querySelectorAll("#loom-sections-nav [data-section]");
}

function container() {
  return document.getElementById("loom-sections");
}
