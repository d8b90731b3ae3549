// The TensorBoard tab: a frame on the page's own /tensorboard/, made when the tab is first seen and kept up to date.

import { isDark, onAppearanceChange } from "./appearance.js";
import { element, setText } from "./dom.js";
import { texts } from "./texts.js";

const ADDRESS = "/tensorboard/";
const LOGS_NOT_SHOWN = "/logs/not_shown";
const RELOAD_MS = 5000; // its own automatic reload cannot be faster than 30 s
const SETTINGS = "_tb_global_settings"; // where TensorBoard keeps its theme: "light" or "dark"

/** Fill the tab; returns a function that ends it. */
export function showTensorBoard(container) {
  let frame;
  const missing = element("div", { class: "loom-note loom-warning", role: "status", hidden: true });
  container.replaceChildren(notice(texts.tensorboard.starting));

  async function start() {
    container.replaceChildren(notice(texts.tensorboard.starting));
    const failure = await findFailure(); // asked first: an error would stay in the frame
    if (failure) {
      container.replaceChildren(notice(texts.tensorboard.failed, failure, start));
      return;
    }
    setTheme();
    frame = element("iframe", { src: ADDRESS, title: texts.tensorboard.frame });
    container.replaceChildren(missing, frame);
    showMissing(missing);
  }

  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    start();
  });
  seen.observe(container);
  const timer = setInterval(() => {
    if (!frame || !container.offsetParent || document.hidden) return;
    reload(frame);
    showMissing(missing);
  }, RELOAD_MS);
  const endThemes = onAppearanceChange(() => {
    if (!frame) return;
    setTheme();
    frame.contentWindow.location.reload();
  });
  return () => {
    seen.disconnect();
    clearInterval(timer);
    endThemes();
  };
}

/** Why TensorBoard does not answer, "" if it does; the server starts it if need be, which takes seconds. */
async function findFailure() {
  try {
    const answer = await fetch(ADDRESS);
    return answer.ok ? "" : await answer.text();
  } catch (error) {
    return error.message;
  }
}

/** Name the log folders that TensorBoard cannot be led to. */
async function showMissing(note) {
  const answer = await fetch(LOGS_NOT_SHOWN).catch(() => null); // that the server is gone is told elsewhere
  if (!answer?.ok) return;
  const folders = (await answer.json()).not_shown;
  note.hidden = !folders.length;
  setText(note, [texts.tensorboard.not_shown, ...folders].join("\n"));
}

function reload(frame) {
  const button = frame.contentDocument?.querySelector(".reload-button");
  if (button && !button.disabled) button.click();
}

function setTheme() {
  let settings = {};
  try {
    settings = JSON.parse(localStorage.getItem(SETTINGS)) ?? {};
  } catch {
    // what stands there is not TensorBoard's; it is replaced
  }
  localStorage.setItem(SETTINGS, JSON.stringify({ ...settings, theme: isDark() ? "dark" : "light" }));
}

function notice(text, details = "", retry = null) {
  return element(
    "div",
    { class: "loom-panel loom-nothing", role: "status" },
    element("p", {}, text),
    ...(details ? [element("pre", {}, details)] : []),
    ...(retry ? [element("button", { type: "button", class: "loom-button", onclick: retry }, texts.tensorboard.retry)] : []),
  );
}
