/**
 * Numbers, times and durations as people read them. Pure.
 */

export const MINUS = "\u2212";
const LARGE = ["", "k", "M", "G", "T", "P"];
const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Digits that count, of a figure by itself, and of one that must be told from its neighbours. */
const DIGITS = 3;
const MOST_DIGITS = 9;

/**
 * A number in at most five characters or so: 0, 0.0042, 3.14, 12.3k, 4.5M.
 * @param {number | null | undefined} value
 * @param {number} [digits] that count; of what is below 1 one fewer
 */
export function number(value, digits = DIGITS) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : "";
  if (size === 0) return "0";
  if (size < 1e-4 || size >= 1e18) return sign + size.toExponential(digits - 2);
  if (size < 1) return sign + trimmed(size.toPrecision(digits - 1));
  if (size < 999.5) return sign + (Number.isInteger(size) ? String(size) : trimmed(size.toPrecision(digits)));
  return sign + scaled(size, 1000, LARGE, "", digits);
}

/**
 * So many of something: 1 client, 12.3k clients.
 * @param {number} count
 * @param {string} one what it is, whose plural has an s
 */
export function many(count, one) {
  return `${number(count)} ${one}${count === 1 ? "" : "s"}`;
}

/**
 * Values beside each other on an axis: with as many digits as tell them apart.
 * @param {number[]} values
 * @param {(value: number, digits: number) => string} text
 */
export function apart(values, text) {
  for (let digits = DIGITS; ; digits += 1) {
    const told = values.map((value) => text(value, digits));
    if (digits === MOST_DIGITS || new Set(told).size === told.length) return told;
  }
}

/**
 * The unit of a tab's values, by the last part of its name.
 * @param {string} name without tags
 */
export function unitOf(name) {
  const last = name.slice(name.lastIndexOf(".") + 1).toLowerCase().split(/[_-]/).at(-1) ?? "";
  return Object.hasOwn(UNITS, last) ? UNITS[last] : "";
}

/** @type {Record<string, string>} */
const UNITS = {
  ms: "ms", millis: "ms", milliseconds: "ms",
  us: "µs", micros: "µs", microseconds: "µs", ns: "ns", nanoseconds: "ns",
  s: "s", sec: "s", seconds: "s", secs: "s",
  bytes: "B", byte: "B", percent: "%", pct: "%", ratio: "",
};

/** Seconds in a unit of time. @type {Record<string, number>} */
const SECONDS = { s: 1, ms: 1e-3, "µs": 1e-6, ns: 1e-9 };

/**
 * A number with its unit: 81.5 ms, 1.2 s (of ms), 3.4 MiB, 12 %.
 * @param {number | null | undefined} value
 * @param {string} unit as unitOf gives it
 * @param {number} [digits]
 */
export function quantity(value, unit, digits = DIGITS) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (unit === "B") return (value < 0 ? MINUS : "") + scaled(Math.abs(value), 1024, BYTES, " ", digits);
  if (unit in SECONDS) return seconds(value * (SECONDS[unit] ?? 1), digits);
  return unit ? `${number(value, digits)}\u202f${unit}` : number(value, digits);
}

/**
 * A length of time in the unit that suits it.
 * @param {number} value in seconds
 * @param {number} [digits]
 */
export function seconds(value, digits = DIGITS) {
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : "";
  const within = (/** @type {number} */ x, /** @type {string} */ unit) => `${sign}${number(x, digits)}\u202f${unit}`;
  if (size === 0) return "0\u202fs";
  if (size < 0.9995e-6) return within(size * 1e9, "ns");
  if (size < 0.9995e-3) return within(size * 1e6, "µs");
  if (size < 0.9995) return within(size * 1e3, "ms");
  if (size < 120) return within(size, "s");
  if (size < 7200) return within(size / 60, "min");
  if (size < 172800) return within(size / 3600, "h");
  return within(size / 86400, "d");
}

/**
 * How long ago, roughly: now, 4 s ago, 3 min ago.
 * @param {number} age in seconds
 */
export function ago(age) {
  return age < 2 ? "now" : `${roughly(age)} ago`;
}

/**
 * A length of time in one whole number: 4 s, 3 min, 2 h, 5 d.
 * @param {number} value in seconds
 */
export function roughly(value) {
  if (value < 100) return `${Math.round(value)}\u202fs`;
  if (value < 6000) return `${Math.round(value / 60)}\u202fmin`;
  if (value < 172800) return `${Math.round(value / 3600)}\u202fh`;
  return `${Math.round(value / 86400)}\u202fd`;
}

/**
 * A share as a difference: +12 %, −3.4 %, ±0 %.
 * @param {number} share 0.12 is +12 %
 */
export function difference(share) {
  if (!Number.isFinite(share)) return "new";
  const percent = Math.abs(share) * 100;
  const shown = percent < 10 ? percent.toFixed(1) : number(Math.round(percent));
  if (Number(percent.toFixed(1)) === 0) return "±0\u202f%";
  return `${share < 0 ? MINUS : "+"}${shown}\u202f%`;
}

/**
 * A stated error: ±1 %.
 * @param {number} share
 */
export function bound(share) {
  return `±${trimmed((share * 100).toPrecision(2))}\u202f%`;
}

/**
 * The time of day, with the day where it is not today.
 * @param {number} time in seconds since 1970
 * @param {number} [now]
 */
export function clock(time, now = Date.now() / 1000) {
  const date = new Date(time * 1000);
  const at = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const today = new Date(now * 1000).toDateString() === date.toDateString();
  return today ? at : `${date.toLocaleDateString([], { day: "numeric", month: "short" })} ${at}`;
}

/**
 * @param {number} size
 * @param {number} base
 * @param {string[]} names
 * @param {string} space
 * @param {number} digits
 */
function scaled(size, base, names, space, digits) {
  let power = 0;
  while (size >= base * 0.9995 && power < names.length - 1) {
    size /= base;
    power += 1;
  }
  const shown = size >= 10 ** (digits - 1) || Number.isInteger(size) ? size.toFixed(0) : trimmed(size.toPrecision(digits));
  return shown + (space && names[power] ? "\u202f" : "") + names[power];
}

/** @param {string} digits */
function trimmed(digits) {
  return digits.includes(".") && !digits.includes("e") ? digits.replace(/\.?0+$/, "") : digits;
}
