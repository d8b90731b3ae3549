// A notification of the browser's when a run ends, if its user wants that and the browser lets it.

import { element, setAttribute, setText } from "./dom.js";
import { stateInWords } from "./header.js";
import { fill, texts } from "./texts.js";

const KEY = "loom-notify";

/** A switch for it: {element, update()}; update it after each change of the status. */
export function endNotification(feed) {
  const button = element("button", { type: "button", class: "loom-link", onclick: change });
  const told = element("span", { class: "loom-muted", role: "status" });
  const whole = element("div", { class: "loom-notify", hidden: !("Notification" in window) }, button, told); // secure contexts only
  let run;
  let wentOn = false;

  async function change() {
    const isOn = wants();
    const answer = isOn ? "granted" : await Notification.requestPermission();
    localStorage.setItem(KEY, isOn || answer !== "granted" ? "off" : "on");
    setText(told, answer === "granted" ? "" : texts.notification.forbidden);
    show();
  }

  function update() {
    if (feed.run?.run !== run) wentOn = false;
    run = feed.run?.run;
    if (feed.isOver && wentOn && wants()) tell();
    wentOn = Boolean(feed.status) && !feed.isOver;
    show();
  }

  function tell() {
    const title = fill(texts.page.title, { what: stateInWords(feed), name: feed.run.name ?? feed.run.run });
    new Notification(title, { body: feed.status.failure?.sentence ?? feed.status.message ?? "", tag: feed.run.run }); // one of several pages
  }

  function show() {
    setText(button, wants() ? texts.notification.off : texts.notification.on);
    setAttribute(button, "aria-pressed", wants());
  }

  show();
  return { element: whole, update };
}

function wants() {
  return localStorage.getItem(KEY) === "on" && window.Notification?.permission === "granted";
}
