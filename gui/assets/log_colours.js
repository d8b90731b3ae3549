// The colours of a log: what its escape sequences (SGR, ECMA-48 8.3.117) make of the text between them.

export const COLOUR = /\x1b\[([0-9;:]*)m/g;
const PLAIN = { bold: false, dim: false, italic: false, underlined: false, ink: "" };
const SWITCHES = { 1: ["bold", true], 2: ["dim", true], 3: ["italic", true], 4: ["underlined", true], 23: ["italic", false], 24: ["underlined", false] };
const EXTENDED = { 5: 1, 2: 3 }; // how many numbers follow `38;5` and `38;2`

/** The text without its colours. */
export function plainText(line) {
  return line.replace(COLOUR, "");
}

/** The line in parts: [[text, classes], ...]. */
export function colouredParts(line) {
  const parts = [];
  let style = PLAIN;
  let end = 0;
  for (const match of line.matchAll(COLOUR)) {
    if (match.index > end) parts.push([line.slice(end, match.index), classesOf(style)]);
    style = styleAfter(style, match[1]);
    end = match.index + match[0].length;
  }
  if (end < line.length) parts.push([line.slice(end), classesOf(style)]);
  return parts;
}

function styleAfter(style, codes) {
  const numbers = codes.split(/[;:]/).map(Number);
  let next = { ...style };
  for (let index = 0; index < numbers.length; index += 1) {
    const code = numbers[index];
    if (code === 0) next = { ...PLAIN };
    else if (code in SWITCHES) next[SWITCHES[code][0]] = SWITCHES[code][1];
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 39) next.ink = "";
    else if (code >= 30 && code <= 37) next.ink = String(code - 30);
    else if (code >= 90 && code <= 97) next.ink = String(code - 90);
    else if (code === 38 || code === 48) {
      const kind = numbers[index + 1];
      if (code === 38 && kind === 5 && numbers[index + 2] < 16) next.ink = String(numbers[index + 2] % 8);
      index += 1 + (EXTENDED[kind] ?? 0);
    }
  }
  return next;
}

function classesOf({ bold, dim, italic, underlined, ink }) {
  const names = { bold, dim, italic, underlined };
  const set = Object.keys(names).filter((name) => names[name]);
  return [...set, ...(ink ? [`ink-${ink}`] : [])].map((name) => `loom-log-${name}`).join(" ");
}
