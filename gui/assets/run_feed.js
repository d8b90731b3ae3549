// The one stream of events from the server, and what it has told so far about the run that is looked at.

const RETRY_MS = 3000;
const OVER = ["finished", "stopped", "failed", "crashed"];

/**
 * Follows the current run, or one that was chosen. Fields, each undefined before the first event:
 *   chosen  folder name of the run that was chosen, "" while the current one is followed
 *   run     {run: folder name, kind, name}, or null if there is none
 *   status  state, stop_requested, exit and all of status.json
 *   series  the metrics, see Series
 *   log     the text of train.log so far as the server sent it
 * Listeners are told what changed: "run", "status", "metrics", "log" (with the new text), "connection".
 */
export class RunFeed {
  constructor(address, { chosen = "" } = {}) {
    this.address = address;
    this.chosen = chosen;
    this.connected = undefined;
    this.listeners = new Map();
    this.forget(undefined);
    this.connect();
  }

  /** Call the listener at each change of that kind; returns a function that ends it. */
  subscribe(kind, listener) {
    if (!this.listeners.has(kind)) this.listeners.set(kind, new Set());
    this.listeners.get(kind).add(listener);
    return () => this.listeners.get(kind).delete(listener);
  }

  /** The state in which the page shows the run: the server's, and "stopping" between the request and its effect. */
  get state() {
    const state = this.status?.state;
    return this.status?.stop_requested && state && !OVER.includes(state) ? "stopping" : state;
  }

  get isOver() {
    return OVER.includes(this.status?.state);
  }

  /** Ask the run to stop; raises Error with the reason if the server cannot be asked. */
  async stop() {
    const answer = await fetch(`runs/${encodeURIComponent(this.run.run)}/stop`, { method: "POST" });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  }

  /** Follow the run of that folder name, with "" whichever is current. */
  follow(run) {
    if (run === this.chosen) return;
    this.source.close();
    clearTimeout(this.retry);
    this.chosen = run;
    this.forget(undefined);
    this.tell("run");
    this.connect();
  }

  connect() {
    const query = this.chosen ? `?run=${encodeURIComponent(this.chosen)}` : "";
    const source = new EventSource(this.address + query);
    this.source = source;
    source.addEventListener("open", () => this.setConnected(true));
    source.addEventListener("error", () => {
      this.setConnected(false);
      if (source.readyState !== EventSource.CLOSED) return; // it reconnects by itself and says where it stopped
      source.close();
      if (this.chosen) this.follow(""); // the server knows no such run
      else this.retry = setTimeout(() => this.connect(), RETRY_MS);
    });
    const on = (kind, receive) => source.addEventListener(kind, (event) => receive(JSON.parse(event.data)));
    on("run", (run) => {
      this.forget(run.run === null ? null : run);
      this.tell("run");
    });
    on("status", (status) => {
      this.status = status;
      this.tell("status");
    });
    on("metrics", (rows) => {
      this.series.add(rows);
      this.tell("metrics");
    });
    on("log", ({ offset, end, text }) => {
      if (offset < this.logEnd) return; // told before the connection broke
      this.logEnd = end;
      this.logIsCut ||= this.log === "" && offset > 0;
      this.log += text;
      this.tell("log", text);
    });
  }

  forget(run) {
    this.run = run;
    this.status = undefined;
    this.series = new Series();
    this.log = "";
    this.logEnd = 0;
    this.logIsCut = false;
  }

  setConnected(connected) {
    if (this.connected === connected) return;
    this.connected = connected;
    this.tell("connection");
  }

  tell(kind, detail) {
    for (const listener of this.listeners.get(kind) ?? []) listener(detail);
  }
}

/** The metrics in columns; a value that a step lacks, or that is no number, is null. */
class Series {
  constructor() {
    this.steps = [];
    this.epochs = [];
    this.loss = [];
    this.average = [];
    this.gradientNorm = [];
    this.learningRates = new Map();
    this.firstTime = undefined;
    this.lastItems = undefined; // how many items the last step learned from
  }

  get length() {
    return this.steps.length;
  }

  add(rows) {
    for (const row of rows) {
      if (this.length && row.step <= this.steps.at(-1)) continue; // told before the connection broke
      this.firstTime ??= row.time - (row.seconds ?? 0);
      this.lastItems = row.items;
      this.steps.push(row.step);
      this.epochs.push(row.epoch ?? null);
      this.loss.push(row.loss ?? null);
      this.average.push(row.average_loss ?? null);
      this.gradientNorm.push(row.gradient_norm ?? null);
      for (const [name, rate] of Object.entries(row.learning_rates ?? {})) this.addRate(name, rate);
      for (const rates of this.learningRates.values()) if (rates.length < this.length) rates.push(null);
    }
  }

  addRate(name, rate) {
    if (!this.learningRates.has(name)) this.learningRates.set(name, new Array(this.length - 1).fill(null));
    this.learningRates.get(name).push(rate);
  }
}
