/**
 * What of each type is shown: its lines, its figures, what its error says. Pure.
 */
import { bound, number, quantity, unitOf } from "./format.js";
import { baseType, split } from "./globs.js";

/** @typedef {Record<string, any>} Answer the figures of a window, or of a point */
/**
 * @typedef {object} Line
 * @property {string} label
 * @property {(answer: Answer, seconds: number) => number | null} value  `seconds` is how long the answer's time is
 * @property {"main" | "also" | "edge"} role   edges bound a band and have no line of their own
 * @property {number} [over]  the place, among the lines, of the one down to which there is a band from this one
 */
/**
 * @typedef {object} Figure
 * @property {string} label
 * @property {string} name   of the column
 * @property {string} [unit] what the tab's own unit does not say; "" for a plain number, "/s" for a rate
 */
/**
 * @typedef {object} Kind
 * @property {"lines" | "bars" | "values"} draws
 * @property {Figure[]} figures  those of a window, the most telling first
 * @property {string} usual      what is drawn where nothing else is chosen
 * @property {string[]} choices  columns that can be drawn instead of the usual lines
 * @property {(figure: string | null, sample: Answer | null) => Line[]} lines
 * @property {"step" | "line"} path
 * @property {boolean} zero   whether nothing recorded is 0, and no gap
 * @property {(answer: Answer) => string} error   what the answer says of its own error; "" where it is exact
 */

const COUNTER = ["rate", "total", "count", "mean", "min", "max"];
const PERCENTILE = ["p50", "p75", "p90", "p95", "p99", "p99.9", "mean", "min", "max", "rate", "count", "total"];
const GAUGE = ["mean", "sum", "min", "max", "clients"];

/**
 * @param {string} name of the column
 * @param {Line["role"]} [role]
 * @param {number} [over]
 * @returns {Line}
 */
function column(name, role = "main", over) {
  return { label: name, role, over, value: (answer) => (typeof answer[name] === "number" ? answer[name] : null) };
}

/**
 * A rate over a slice that has not ended is over the part of it that has been.
 * @param {string} name
 * @param {string} label
 * @returns {Line}
 */
function perSecond(name, label) {
  return { label, role: "main", value: (answer, seconds) => (answer[name] ?? 0) / seconds };
}

/** @type {Record<string, Kind>} */
const KINDS = {
  counter: {
    draws: "lines",
    usual: "per second",
    path: "step",
    zero: true,
    figures: [
      { label: "per second", name: "rate", unit: "/s" },
      { label: "total", name: "total" },
      { label: "events", name: "count", unit: "" },
    ],
    choices: COUNTER,
    lines: (figure) => [!figure || figure === "rate" ? perSecond("total", "per second") : column(figure)],
    error: () => "",
  },
  percentile: {
    draws: "lines",
    usual: "p50, p90 and p99",
    path: "line",
    zero: false,
    figures: [
      { label: "p50", name: "p50" },
      { label: "p99", name: "p99" },
      { label: "events", name: "count", unit: "" },
    ],
    choices: PERCENTILE,
    lines: (figure) => {
      if (figure === "rate") return [perSecond("count", "events per second")];
      if (figure) return [column(figure)];
      return [column("p50"), column("p90", "edge", 0), column("p99", "edge", 1)];
    },
    error: (answer) => bound(answer.error ?? 0.01),
  },
  gauge: {
    draws: "lines",
    usual: "mean, least to greatest",
    path: "step",
    zero: false,
    figures: [
      { label: "mean", name: "mean" },
      { label: "sum", name: "sum" },
      { label: "clients", name: "clients", unit: "" },
    ],
    choices: GAUGE,
    lines: (figure, sample) => {
      if (figure) return [column(figure)];
      // One client's gauge is its value; the fleet's is the mean between the least and the greatest.
      if (sample && "value" in sample) return [column("value")];
      return [column("mean"), column("min", "edge"), column("max", "edge", 1)];
    },
    error: () => "",
  },
  uniques: {
    draws: "lines",
    usual: "distinct",
    path: "line",
    zero: true,
    figures: [{ label: "distinct", name: "uniques", unit: "" }],
    choices: ["uniques"],
    lines: () => [{ label: "distinct", role: "main", value: (answer) => answer.uniques ?? 0 }],
    error: (answer) => bound(answer.error ?? 0.0325),
  },
  top: {
    draws: "bars",
    usual: "the most frequent",
    path: "step",
    zero: true,
    figures: [{ label: "events", name: "count", unit: "" }],
    choices: ["count"],
    lines: () => [perSecond("count", "events per second")],
    error: (answer) => (answer.bound ? `short by ≤ ${number(answer.bound)}` : "exact"),
  },
  buffer: {
    draws: "values",
    usual: "the last values",
    path: "step",
    zero: true,
    figures: [{ label: "kept", name: "count", unit: "" }],
    choices: ["count"],
    lines: () => [perSecond("count", "kept per second")],
    error: () => "",
  },
};

/**
 * The kind of a type; a user's own type has its numbers as lines.
 * @param {string} type  as in gauge(30)
 * @param {Answer | null} [sample]  one of its answers, which a type of one's own is known by
 * @returns {Kind}
 */
export function kindOf(type, sample = null) {
  return KINDS[baseType(type)] ?? ownKind(sample);
}

/**
 * @param {Answer | null} sample
 * @returns {Kind}
 */
function ownKind(sample) {
  const names = Object.keys(sample ?? {}).filter((name) => name !== "time" && name !== "error");
  const numbers = names.filter((name) => typeof sample?.[name] === "number" || sample?.[name] === null);
  return {
    draws: "lines",
    usual: "its numbers",
    path: "line",
    zero: false,
    figures: numbers.slice(0, 3).map((name) => ({ label: name, name, unit: name === "count" ? "" : undefined })),
    choices: numbers,
    lines: (figure) => {
      if (figure) return [column(figure)];
      const drawn = numbers.filter((name) => name !== "count").slice(0, 4);
      return drawn.map((name, index) => column(name, index ? "also" : "main"));
    },
    error: (answer) => (typeof answer.error === "number" ? bound(answer.error) : ""),
  };
}

/**
 * A figure as text, with the tab's unit where it has one.
 * @param {string} tab
 * @param {string} name  of the column
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function shown(tab, name, value, digits) {
  if (name === "rate") return value === null || value === undefined ? "–" : rateText(tab, value, digits);
  if (name === "count" || name === "clients" || name === "uniques") return number(value, digits);
  return quantity(value, unitOf(split(tab).name), digits);
}

/**
 * @param {string} tab
 * @param {number} value
 * @param {number} [digits]
 */
function rateText(tab, value, digits) {
  const unit = unitOf(split(tab).name);
  return `${unit === "B" ? quantity(value, unit, digits) : number(value, digits)}/s`;
}

/**
 * A column's name as people say it.
 * @param {string} name
 */
export function labelOf(name) {
  return { rate: "per second", count: "events", uniques: "distinct" }[name] ?? name;
}

/**
 * The one figure that tells most of a tab, for tables of clients and for what is large on a card.
 * @param {string} type
 * @param {Answer | null} answer
 * @param {string | null} [chosen]
 * @returns {string} the column's name
 */
export function mainFigure(type, answer, chosen = null) {
  if (chosen) return chosen;
  const base = baseType(type);
  if (base === "percentile") return "p99";
  if (base === "gauge") return answer && "value" in answer ? "value" : "mean";
  return kindOf(type, answer).figures[0]?.name ?? "count";
}

/**
 * Whether a gauge's answer, or one client's, is of texts.
 * @param {Answer | null | undefined} answer
 */
export function isText(answer) {
  if (!answer) return false;
  if (typeof answer.value === "string") return true;
  return Array.isArray(answer.values) && answer.mean === null && answer.values.some((one) => typeof one.value === "string");
}
