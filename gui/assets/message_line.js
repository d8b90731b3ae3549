// What an action has to say, beside its button: a line that is read out, and red where it went wrong.

import { element, setText } from "./dom.js";

/** The line: {element, tell(text), fail(error)}. */
export function messageLine() {
  const line = element("p", { class: "loom-told", role: "status" });
  const say = (text, isWrong) => {
    line.classList.toggle("loom-wrong", isWrong);
    setText(line, text);
  };
  return { element: line, tell: (text) => say(text, false), fail: (error) => say(error.message, true) };
}
