// A log as a terminal would show it: `\r` begins the line anew, colours stay, other escape sequences are left out.

import { COLOUR } from "./log_colours.js";

const OTHER_ESCAPES = /\x1b(?:\[[0-9;:?]*[ -/]*(?!m)[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])/g;
const HALF_ESCAPE = /\x1b(?:\[[0-9;:?]*[ -/]*|\][^\x07\x1b]*\x1b?)?$/;
const RESET = /\x1b\[[0;]*m$/;
const LONGEST_STYLE = 64;

/** The last `limit` lines. Lines are numbered from 0 over the whole log; `lines[0]` has the number `dropped`. */
export class LogLines {
  constructor(limit) {
    this.limit = limit;
    this.lines = [""];
    this.dropped = 0;
    this.isReturned = false;
    this.rest = "";
    this.style = ""; // the colours that hold on where the text ends
  }

  /** Add text as it comes from the file; returns the number of the first line that is changed or new. */
  push(text) {
    const firstChanged = this.dropped + this.lines.length - 1;
    const whole = this.rest + text;
    this.rest = HALF_ESCAPE.exec(whole)?.[0] ?? "";
    const kept = whole.slice(0, whole.length - this.rest.length).replace(OTHER_ESCAPES, "");
    kept.split("\n").forEach((part, index) => {
      if (index > 0) this.endLine();
      this.write(part);
    });
    const excess = this.lines.length - this.limit;
    if (excess > 0) {
      this.lines.splice(0, excess);
      this.dropped += excess;
    }
    return Math.max(firstChanged, this.dropped);
  }

  write(part) {
    part.split("\r").forEach((text, index) => {
      if (index > 0) this.isReturned = true;
      if (!text.replace(COLOUR, "")) {
        this.note(text); // after a last `\r` the line stands until something overwrites it
        return;
      }
      const last = this.lines.length - 1;
      const before = this.isReturned || !this.lines[last] ? this.style : this.lines[last];
      this.lines[last] = before + text;
      this.isReturned = false;
      this.note(text);
    });
  }

  /** Keep the colours that hold on after the text. */
  note(text) {
    for (const [code] of text.matchAll(COLOUR)) this.style = RESET.test(code) ? "" : (this.style + code).slice(-LONGEST_STYLE);
    if (!text.replace(COLOUR, "") && text && this.lines.at(-1) && !this.isReturned) this.lines[this.lines.length - 1] += text;
  }

  endLine() {
    this.lines.push("");
    this.isReturned = false;
  }
}
