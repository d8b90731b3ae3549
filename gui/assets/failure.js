// Why a run failed: the cause, the lines of its log that show it, what to change, and a button that changes it.

import { element, setText } from "./dom.js";
import { changeForm } from "./form_changes.js";
import { post, runAddress } from "./request.js";
import { fill, texts } from "./texts.js";

/** The card's parts below its sentence: {element, update()}; nothing for a run that did not fail. */
export function failureView(feed) {
  const advice = element("p", { class: "loom-failure-advice" });
  const changes = element("ul", { class: "loom-failure-changes" });
  const apply = element("button", { type: "button", class: "loom-button", onclick: () => act(() => changeForm(givenChanges(feed.status.failure))) }, texts.failure.apply);
  const resume = element("button", { type: "button", class: "loom-button", onclick: () => act(() => post(runAddress(feed.run.run, "resume"), {})) }, texts.failure.resume);
  const problem = element("p", { role: "alert" });
  const lines = element("pre", { tabindex: 0 });
  const evidence = element("details", { open: true }, element("summary", {}, texts.failure.evidence), lines);
  const whole = element("div", { class: "loom-failure" }, advice, changes, element("div", { class: "loom-actions" }, apply, resume), problem, evidence);
  let shown;

  async function act(action) {
    setText(problem, "");
    try {
      await action();
    } catch (error) {
      setText(problem, error.message);
    }
  }

  function update() {
    const failure = feed.status?.failure;
    whole.hidden = !failure;
    if (failure === shown) return;
    shown = failure;
    setText(problem, "");
    if (!failure) return;
    setText(advice, failure.advice);
    setText(lines, failure.evidence.join("\n"));
    evidence.hidden = failure.evidence.length === 0;
    changes.replaceChildren(...failure.changes.map((change) => element("li", {}, inWords(change))));
    changes.hidden = apply.hidden = failure.changes.length === 0;
    resume.hidden = feed.run?.kind !== "train" || !feed.status.last_state;
  }

  return { element: whole, update };
}

function givenChanges(failure) {
  return Object.fromEntries(failure.changes.map(({ option, given }) => [option, given]));
}

function inWords({ label, value }) {
  const words = value === true ? texts.failure.on : value === false ? texts.failure.off : value === "" ? texts.failure.empty : value;
  return fill(texts.failure.change, { label, value: words });
}
