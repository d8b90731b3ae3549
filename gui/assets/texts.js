// Every text that the page's scripts show; {name} stands for a value, see fill().

export const texts = {
  brand: "LoRA Loom",
  title: "{what} · {name}",
  noRun: "No run yet. Press Start on Train.",
  noRunYet: {
    title: "Nothing has run yet",
    text: "Load a preset on Train and press Start; what happens then is shown here, and stays here when you reload or close the page.",
  },
  connecting: "Connecting…",
  connectionLost: "Connection to the server lost. The run goes on without it; trying again…",

  states: {
    queued: "Queued",
    starting: "Starting",
    running: "Running",
    stopping: "Stopping",
    finished: "Finished",
    stopped: "Stopped",
    failed: "Failed",
    crashed: "Crashed",
  },
  kinds: {
    train: "Training",
    demo: "Making the demo",
    cache_latents: "Caching latents",
    cache_text_encoder_outputs: "Caching text encoder outputs",
  },
  phases: {
    loading: "loading",
    caching: "caching",
    training: "training",
    saving: "saving",
  },

  outcomes: {
    queued: "It waits in the queue and starts by itself when those before it are over.",
    starting: "Its process has been started and is loading its libraries; this takes some seconds.",
    stopping: "Asked to stop: it finishes its step, saves and leaves. After a minute it is terminated, then killed.",
    finished: "Finished.",
    stopped: "Stopped as asked; what was saved stays.",
    terminated: "Stopped: it did not leave by itself and was terminated.",
    killed: "Stopped: it did not leave when terminated and was killed with all it had started.",
    memoryFree: "Its memory is free.",
    left: "Some of it is still there and may hold memory, even though it was killed: {processes}. End it by hand, or restart the machine.",
    process: "process {pid}",
    cancelled: "Taken out of the queue before it began.",
    failed: "Failed.",
    failedWithCode: "Failed with exit code {code}.",
    notStarted: "Not started: {why}.",
    crashed: "Its process ended without a word: killed from outside, out of memory, or the machine went down.",
  },
  lastLogLines: "The end of its log",

  stop: "Stop…",
  stopCancel: "Cancel",
  stopQuestion: "Save and stop?",
  stopQuestionQueued: "Take it out of the queue?",
  stopConfirm: "Stop",
  stopAsked: "Stopping…",
  stopFailed: "The request did not reach the server: {why}",

  chosenRun: {
    title: "This page stays with the run {run}.",
    back: "Show the current run",
    tab: "Monitor", // as the page calls it
  },

  search: {
    nothing: "no such option",
    found: "{count} found; the arrow keys go to them",
  },

  appearance: {
    system: "Appearance: as the system",
    light: "Appearance: light",
    dark: "Appearance: dark",
  },

  progress: "Progress",
  stepOf: "{step} / {total}",
  secondsPerStep: "{seconds} s/step",
  timeLeft: "{time} left",
  startedAt: "started {time}",
  endedAt: "ended {time}",

  tiles: {
    averageLoss: "Loss, average",
    loss: "Loss now",
    secondsPerStep: "Seconds per step",
    epoch: "Epoch",
    learningRate: "Learning rate",
    timeLeft: "Time left",
    itemsDone: "Items",
    elapsed: "Time taken",
  },

  curves: {
    title: "Curves",
    tabs: { loss: "loss", average: "average", learningRate: "learning rate", gradientNorm: "gradient norm" },
    each: "each step",
    average: "average",
    smoothed: "smoothed",
    checkpoints: "checkpoints",
    log: "log scale",
    step: "step {step}",
    empty: "The curve begins with the first step.",
    noValues: "No step has reported this.",
    summary: "{what} over steps {first} to {last}: {lines}",
    summaryLine: "{name} from {start} to {end}, lowest {lowest} at step {at}",
  },

  log: {
    title: "Log",
    lines: "Lines of the log",
    search: "Search log",
    follow: "follow",
    copy: "Copy",
    copied: "Copied",
    copyFailed: "Not copied",
    matches: "{count} of {total} lines",
    cut: "Earlier lines are in train.log.",
    empty: "Nothing has been written yet.",
  },

  files: {
    title: "Files",
    none: "No LoRA file has been saved yet.",
    logFolder: "TensorBoard log",
    copy: "Copy path",
    copied: "Copied",
  },

  tensorboard: {
    starting: "TensorBoard is starting…",
    failed: "TensorBoard does not start.",
    retry: "Try again",
    frame: "TensorBoard",
    notShown: "The logs of some runs lie elsewhere and cannot be linked into workspace/logs; open them with tensorboard --logdir:",
  },
};

/** The text with each {name} replaced by its value. */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
