// The search for an option: "/" goes to it, the arrow keys to what it found, Enter opens, Escape and elsewhere close.

import { element, setText } from "./dom.js";
import { facts } from "./form_values.js";
import { fill, texts } from "./texts.js";

export function startOptionSearch() {
  document.addEventListener("input", (event) => event.target === field() && showHits());
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    const isHit = event.target.closest("#option-hits [data-option]");
    if (isHit || !event.target.closest("#option-search, #option-hits")) closeHits();
  });
  document.addEventListener("focusin", (event) => event.target === field() && showHits());
  document.addEventListener("focusout", (event) => {
    const goesTo = event.relatedTarget; // null where it leaves for another window, or for nothing
    if (goesTo && isOfSearch(event.target) && !isOfSearch(goesTo)) closeHits();
  });
}

function onKey(event) {
  const search = field();
  const isTyping = event.target.matches("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !isTyping && search?.offsetParent) {
    event.preventDefault();
    search.focus();
  } else if (search && isOfSearch(event.target)) {
    onSearchKey(event, search);
  }
}

function onSearchKey(event, search) {
  const places = [search, ...hits()];
  const at = places.indexOf(event.target);
  const goTo = (place) => {
    event.preventDefault();
    place?.focus();
  };
  if (event.key === "ArrowDown") goTo(places[at + 1]);
  else if (event.key === "ArrowUp") goTo(places[at - 1]);
  else if (event.key === "Enter" && at === 0) places[1]?.click();
  else if (event.key === "Escape") {
    search.value = "";
    goTo(search);
    showHits();
  }
}

function showHits() {
  const wanted = field().value.trim().toLowerCase();
  const found = wanted ? findOptions(wanted) : [];
  const outcome = found.length ? fill(texts.train.search.found, { count: found.length }) : texts.train.search.nothing;
  list().replaceChildren(element("p", { "aria-hidden": "true" }, outcome), ...found.map(hit));
  list().hidden = !wanted;
  tell(wanted && outcome);
}

/** The options whose name or label has all words, then those with help that has them; in the page's language or English. */
function findOptions(wanted) {
  const options = facts().map((option) => ({ ...option, ...shown(option) }));
  const has = (...parts) => wanted.split(/\s+/).every((word) => parts.join(" ").toLowerCase().includes(word));
  const byName = options.filter(({ name, label, title, list }) => has(name, label, title, list));
  const byHelp = options.filter((option) => !byName.includes(option) && has(option.name, option.title, option.help, option.info));
  return [...byName, ...byHelp];
}

/** Label and help as they stand at the field, and the name of its section. */
function shown({ name, label, section }) {
  const block = document.getElementById(name);
  const title = block?.querySelector("[data-testid='block-info'], .label-text")?.textContent.trim() || label;
  const info = block?.querySelector(".info-text")?.textContent ?? "";
  return { title, info, place: document.querySelector(`[data-section="${section}"]`)?.textContent ?? "" };
}

function hit({ name, title, place }) {
  return element("button", { type: "button", "data-option": name }, title, element("small", {}, `${place} · ${name}`));
}

function closeHits() {
  if (list()) list().hidden = true;
  if (spoken()) setText(spoken(), "");
}

/** Read out how many were found, in a place of its own: the hits themselves would be too much. */
function tell(text) {
  if (!spoken()) list().after(element("span", { id: "option-search-told", class: "loom-unseen", role: "status" }));
  setText(spoken(), text);
}

function isOfSearch(node) {
  return node === field() || Boolean(list()?.contains(node));
}

function hits() {
  return list().hidden ? [] : list().querySelectorAll("[data-option]");
}

function field() {
  return document.getElementById("option-search");
}

function list() {
  return document.getElementById("option-hits");
}

function spoken() {
  return document.getElementById("option-search-told");
}
