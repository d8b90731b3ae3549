// Numbers, times and sizes as the page writes them; what is unknown is a dash.

export const UNKNOWN = "–";

const counts = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 12,345 */
export function formatCount(number) {
  return isNumber(number) ? counts.format(number) : UNKNOWN;
}

/** A loss or a norm with four significant digits, never jumping in length: 0.1873, 12.40, 1.2e-5. */
export function formatValue(number) {
  if (!isNumber(number)) return UNKNOWN;
  const size = Math.abs(number);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e5) return formatRate(number);
  return number.toFixed(size < 1 ? 4 : size < 10 ? 3 : size < 100 ? 2 : 1);
}

/** A learning rate as people write it: 2e-4, 8.5e-5. */
export function formatRate(number) {
  if (!isNumber(number)) return UNKNOWN;
  if (number === 0) return "0";
  const [mantissa, exponent] = number.toExponential(2).split("e");
  return `${Number(mantissa)}e${Number(exponent)}`;
}

/** Seconds with as many digits as mean something: 0.041, 2.14, 38.2. */
export function formatSeconds(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  return seconds.toFixed(seconds < 0.1 ? 3 : seconds < 10 ? 2 : 1);
}

/** Bytes in the largest unit that leaves at least 1: 78.8 MiB, 412 GiB. */
export function formatBytes(count) {
  if (!isNumber(count)) return UNKNOWN;
  const power = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.max(1, count)) / 10)));
  const size = count / 1024 ** power;
  return `${size.toFixed(power && size < 100 ? 1 : 0)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/** 0:09, 22:50, 2:03:11, 3 d 04:00 */
export function formatDuration(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  const whole = Math.max(0, Math.round(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (days) return `${days} d ${two(hours)}:${two(minutes)}`;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** A Unix time in the browser's time zone: 11:40, or 2026-11-22 11:40 if that was another day. */
export function formatTime(unixTime) {
  const date = new Date(unixTime * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

export function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}
