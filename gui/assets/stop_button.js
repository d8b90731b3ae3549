// Stop in two steps, in place: the button asks, a second press confirms, Cancel and Escape take it back.

import { element, setText } from "./dom.js";
import { fill, texts } from "./texts.js";

/** The control for the feed's run: {element, update()}; update it after each change of the status. */
export function stopButton(feed) {
  const ask = element("button", { type: "button", class: "loom-button loom-danger", onclick: open }, texts.stop.button);
  const question = element("span", { class: "loom-question" });
  const confirm = element("button", { type: "button", class: "loom-button loom-danger-fill", onclick: stop }, texts.stop.confirm);
  const cancel = element("button", { type: "button", class: "loom-button", onclick: close }, texts.stop.cancel);
  const asked = element("span", { class: "loom-stop-asked", role: "status", tabindex: -1 });
  const whole = element("div", { class: "loom-stop", onkeydown: (event) => event.key === "Escape" && close() });
  let stage = "idle";
  let run;

  function open() {
    stage = "asking";
    update();
    confirm.focus();
  }

  function close() {
    if (stage !== "asking") return;
    stage = "idle";
    update();
    ask.focus();
  }

  async function stop() {
    stage = "asked";
    setText(asked, texts.stop.asked);
    update();
    asked.focus(); // in place of the button, which is gone
    try {
      await feed.stop();
    } catch (error) {
      stage = "idle";
      setText(asked, fill(texts.stop.failed, { why: error.message }));
      update();
      ask.focus();
    }
  }

  function update() {
    if (feed.run?.run !== run) {
      run = feed.run?.run;
      stage = "idle";
      setText(asked, "");
    }
    setText(question, feed.state === "queued" ? texts.stop.question_queued : texts.stop.question);
    if (feed.state === "stopping") setText(asked, texts.stop.asked);
    const parts = partsOfStage();
    if (parts.length !== whole.childNodes.length || parts.some((part, index) => whole.childNodes[index] !== part)) {
      whole.replaceChildren(...parts);
    }
  }

  function partsOfStage() {
    if (!feed.run || !feed.status || feed.isOver) return [];
    if (feed.state === "stopping" || stage === "asked") return [asked];
    if (stage === "asking") return [question, confirm, cancel];
    return asked.textContent ? [asked, ask] : [ask];
  }

  update();
  return { element: whole, update };
}
