// The fields that the plan's errors name: marked, called invalid, and described by the error; their sections marked too.

import { setAttribute } from "./dom.js";

const NOTE_ID = "loom-problem-";

/** Mark what is wrong now, and nothing else. */
export function markProblems(navigationButtons) {
  const notes = notesByOption();
  for (const field of document.querySelectorAll(".loom-field")) markField(field, notes.get(field.id) ?? []);
  for (const button of navigationButtons) {
    const section = document.getElementById(`section-${button.dataset.section}`);
    button.classList.toggle("loom-has-problem", Boolean(section?.querySelector(".loom-invalid")));
  }
}

/** The ids of the plan's errors by the option that they name; the notes are given ids here. */
function notesByOption() {
  const byOption = new Map();
  document.querySelectorAll("#plan .loom-error").forEach((note, index) => {
    note.id = `${NOTE_ID}${index}`;
    for (const link of note.querySelectorAll("[data-option]")) {
      byOption.set(link.dataset.option, [...(byOption.get(link.dataset.option) ?? []), note.id]);
    }
  });
  return byOption;
}

function markField(field, notes) {
  field.classList.toggle("loom-invalid", notes.length > 0);
  for (const input of field.querySelectorAll("input, textarea")) {
    const others = (input.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && !id.startsWith(NOTE_ID));
    setAttribute(input, "aria-invalid", notes.length ? "true" : null);
    setAttribute(input, "aria-describedby", [...others, ...notes].join(" ") || null);
  }
}
