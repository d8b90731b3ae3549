// On a narrow screen the plan is a sheet: a bar at the bottom tells its verdict and opens it, as a dialog over the page.

import { setAttribute, setText } from "./dom.js";
import { drawPlanPlots } from "./plan_plots.js";
import { texts } from "./texts.js";

const NARROW = matchMedia("(max-width: 760px)"); // as in train.css

let put = []; // what was made inert beside the sheet

export function startPlanSheet() {
  document.addEventListener("click", (event) => {
    if (event.target.closest("#loom-plan-open")) openSheet();
    else if (isOpen() && (event.target.closest("#loom-plan-close") || !event.target.closest("#loom-plan-side"))) closeSheet();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen()) closeSheet();
  });
  NARROW.addEventListener("change", () => closeSheet());
}

/** Show in the bar what the plan says now; close the sheet where its tab was left. */
export function followPlan() {
  const verdict = document.querySelector("#plan .loom-verdict");
  const told = document.getElementById("loom-plan-told");
  if (verdict && told) {
    setText(told, verdict.textContent);
    setAttribute(button(), "data-state", verdict.dataset.state);
  }
  if (isOpen() && !side().checkVisibility()) closeSheet({ keepFocus: false });
  showMessage();
}

/** Back to the form. keepFocus: the focus goes back to the bar. */
export function closeSheet({ keepFocus = true } = {}) {
  if (!isOpen()) return;
  for (const element of put) element.inert = false;
  put = [];
  side().classList.remove("loom-open");
  for (const name of ["role", "aria-modal", "aria-label"]) setAttribute(side(), name, null);
  setAttribute(button(), "aria-expanded", "false");
  if (keepFocus) button().focus();
}

function openSheet() {
  if (!NARROW.matches || isOpen()) return;
  side().classList.add("loom-open");
  setAttribute(side(), "role", "dialog");
  setAttribute(side(), "aria-modal", "true");
  setAttribute(side(), "aria-label", texts.plan.title);
  setAttribute(button(), "aria-expanded", "true");
  put = elementsBeside(side()).filter((element) => !element.inert);
  for (const element of put) element.inert = true;
  drawPlanPlots();
  document.getElementById("loom-plan-close").focus();
}

/** What Start answers stands at the end of a long plan. */
function showMessage() {
  const message = document.getElementById("start-message");
  const said = message?.textContent.trim() ?? "";
  if (said && said !== showMessage.last) message.scrollIntoView({ block: "nearest" });
  showMessage.last = said;
}

/** All that is neither in the element nor around it, as far as it can be shown. */
function elementsBeside(element) {
  const beside = [];
  for (let inner = element; inner !== document.body; inner = inner.parentElement) {
    beside.push(...[...inner.parentElement.children].filter((other) => other !== inner && !other.matches("script, style, link")));
  }
  return beside;
}

function isOpen() {
  return Boolean(side()?.classList.contains("loom-open"));
}

function side() {
  return document.getElementById("loom-plan-side");
}

function button() {
  return document.getElementById("loom-plan-open");
}
