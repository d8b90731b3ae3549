// What the machine is busy with, as meters; asked for only while they are in sight.

import { element, setAttribute, setText } from "./dom.js";
import { formatBytes, formatCount, isNumber } from "./numbers.js";
import { fill, fillCount, texts } from "./texts.js";

const INTERVAL_MS = 3000;

/** The meters as a card: {element, end()}. */
export function machineView(feed) {
  const list = element("div", { class: "loom-meters" });
  const note = element("p", { class: "loom-muted" });
  const card = element("section", { class: "loom-panel loom-machine", "aria-label": texts.machine.title }, element("h2", {}, texts.machine.title), list, note);
  const meters = new Map();
  let isSeen = false;

  async function look() {
    if (!isSeen || document.hidden) return;
    const answer = await fetch(`machine?run=${encodeURIComponent(feed.run?.run ?? "")}`).catch(() => null); // told by the header
    if (answer?.ok) show(await answer.json());
  }

  function show(reading) {
    const told = [...reading.gpus.flatMap(gpuMeters), ...machineMeters(reading), ...runMeters(reading)];
    for (const [key, meter] of meters) if (!told.some((one) => one.key === key)) meter.element.remove(), meters.delete(key);
    for (const one of told) {
      if (!meters.has(one.key)) meters.set(one.key, meterOf());
      list.append(meters.get(one.key).element); // in the order in which they are told
      meters.get(one.key).update(one);
    }
    setText(note, reading.no_gpu ? texts.machine.no_gpu[reading.no_gpu] : "");
  }

  const observer = new IntersectionObserver((entries) => {
    isSeen = entries.at(-1).isIntersecting;
    look();
  });
  observer.observe(card);
  const timer = setInterval(look, INTERVAL_MS);
  return {
    element: card,
    end: () => {
      clearInterval(timer);
      observer.disconnect();
    },
  };
}

/** A name, a bar and words: {element, update({name, share, words, title})}; share between 0 and 1, null for no bar. */
function meterOf() {
  const name = element("span", { class: "loom-meter-name" });
  const filled = element("span");
  const bar = element("div", { class: "loom-bar", role: "meter", "aria-valuemin": 0, "aria-valuemax": 100 }, filled);
  const words = element("span", { class: "loom-meter-words loom-muted" });
  return {
    element: element("div", { class: "loom-meter" }, name, bar, words),
    update(told) {
      setText(name, told.name);
      setText(words, told.words);
      setAttribute(bar, "aria-label", told.name);
      setAttribute(bar, "aria-valuetext", told.words);
      setAttribute(bar, "aria-valuenow", told.share === null ? 0 : Math.round(told.share * 100));
      setAttribute(bar, "data-empty", told.share === null ? "" : null);
      setAttribute(name, "title", told.title ?? null);
      filled.style.width = `${Math.min(1, told.share ?? 0) * 100}%`;
    },
  };
}

function gpuMeters(gpu, index) {
  const name = fill(texts.machine.gpu, { index });
  const words = [
    isNumber(gpu.utilisation) && `${gpu.utilisation} %`,
    isNumber(gpu.temperature) && `${gpu.temperature} °C`,
    isNumber(gpu.power) && `${Math.round(gpu.power)} W`,
  ].filter(Boolean);
  const use = { key: `gpu ${index}`, name, title: gpu.name, share: isNumber(gpu.utilisation) ? gpu.utilisation / 100 : null, words: words.join(" · ") || texts.machine.not_told };
  if (!isNumber(gpu.memory_used)) return [use];
  const own = gpu.run_bytes ? ` · ${fill(texts.machine.by_run, { amount: formatBytes(gpu.run_bytes) })}` : "";
  const memory = { key: `vram ${index}`, name: fill(texts.machine.gpu_memory, { index }), share: gpu.memory_used / gpu.memory_total, words: usedOf(gpu.memory_used, gpu.memory_total) + own };
  return [use, memory];
}

function machineMeters({ cpu, cores, memory_used, memory_total, disk_free, disk_total }) {
  return [
    { key: "cpu", name: texts.machine.cpu, ...used(cpu, 100, texts.machine.cpu_words, { percent: Math.round(cpu), cores: formatCount(cores) }) },
    { key: "memory", name: texts.machine.memory, share: memory_used / memory_total, words: usedOf(memory_used, memory_total) },
    { key: "disk", name: texts.machine.disk, share: 1 - disk_free / disk_total, words: fill(texts.machine.free, { amount: formatBytes(disk_free) }) },
  ];
}

/** What the run's own processes use of it. */
function runMeters({ run, cores, memory_total }) {
  if (!run) return [];
  const processes = fillCount(texts.machine.processes, run.processes);
  const meters = [
    { key: "run cpu", name: texts.machine.run_cpu, title: processes, ...used(run.cpu, 100 * cores, texts.machine.cores_used, { cores: (run.cpu / 100).toFixed(1) }) },
    { key: "run memory", name: texts.machine.run_memory, title: processes, share: run.memory / memory_total, words: formatBytes(run.memory) },
  ];
  if (!isNumber(run.written)) return meters;
  const words = fill(texts.machine.files, { read: formatBytes(run.read), written: formatBytes(run.written) });
  return [...meters, { key: "run disk", name: texts.machine.run_disk, title: processes, share: null, words }];
}

/** What of the processor is used, which the server knows from its second reading on. */
function used(percent, most, words, values) {
  return isNumber(percent) ? { share: percent / most, words: fill(words, values) } : { share: null, words: "…" };
}

/** "13.8 / 23.5 GiB" */
function usedOf(used, total) {
  const [amount, unit] = formatBytes(used).split(" ");
  const whole = formatBytes(total);
  return fill(texts.monitor.step_of, { step: whole.endsWith(` ${unit}`) ? amount : `${amount} ${unit}`, total: whole });
}
