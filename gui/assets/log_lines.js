// A log as a terminal would show it: `\r` begins the line anew, colours and other escape sequences are left out.

const ESCAPES = /\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])/g;
const HALF_ESCAPE = /\x1b(?:\[[0-9;:?]*[ -/]*|\][^\x07\x1b]*\x1b?)?$/;

/** The last `limit` lines. Lines are numbered from 0 over the whole log; `lines[0]` has the number `dropped`. */
export class LogLines {
  constructor(limit) {
    this.limit = limit;
    this.lines = [""];
    this.dropped = 0;
    this.isReturned = false;
    this.rest = "";
  }

  /** Add text as it comes from the file; returns the number of the first line that is changed or new. */
  push(text) {
    const firstChanged = this.dropped + this.lines.length - 1;
    const whole = this.rest + text;
    this.rest = HALF_ESCAPE.exec(whole)?.[0] ?? "";
    const plain = whole.slice(0, whole.length - this.rest.length).replace(ESCAPES, "");
    plain.split("\n").forEach((part, index) => {
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

  /** The last lines that are not empty. */
  tail(count) {
    return this.lines.filter((line) => line.trim()).slice(-count);
  }

  write(part) {
    part.split("\r").forEach((text, index) => {
      if (index > 0) this.isReturned = true;
      if (!text) return; // after a last `\r` the line stands until something overwrites it
      const last = this.lines.length - 1;
      this.lines[last] = this.isReturned ? text : this.lines[last] + text;
      this.isReturned = false;
    });
  }

  endLine() {
    this.lines.push("");
    this.isReturned = false;
  }
}
