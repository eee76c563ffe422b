/**
 * What a board's charts ask, and which lines they have. Pure. A board is as the server has checked it.
 */
import { seriesName } from "../charts/colours.js";
import { split } from "../globs.js";
import { mainFigure } from "../kinds.js";
import { duration } from "../ranges.js";

/** @typedef {string | {from: string | number, to: string | number}} BoardRange */
/**
 * @typedef {object} Chart
 * @property {string[]} tabs
 * @property {string} [title]
 * @property {string} [text]
 * @property {string[]} [by]
 * @property {string} [client]
 * @property {BoardRange} [range]
 * @property {"hour" | "day" | "week"} [compare]
 * @property {string} [figure]
 * @property {"small" | "medium" | "large"} [size]
 */
/**
 * @typedef {object} Board
 * @property {string} title
 * @property {string} [text]
 * @property {string} [client]
 * @property {BoardRange} [range]
 * @property {"hour" | "day" | "week"} [compare]
 * @property {Chart[]} [charts]
 */

/**
 * @param {BoardRange} written
 * @returns {import("../ranges.js").Range}
 */
export function range(written) {
  if (typeof written === "string") return { name: written, span: duration(written) ?? 3600 };
  return { name: null, from: time(written.from), to: time(written.to) };
}

/**
 * Seconds since 1970. A time without a zone is UTC, as the server reads it.
 * @param {string | number} written
 */
function time(written) {
  if (typeof written === "number") return written;
  if (/^[0-9.]+$/.test(written)) return Number(written);
  const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(written) || /^\d{4}-\d\d-\d\d$/.test(written);
  return Date.parse(zoned ? written : `${written}Z`) / 1000;
}

/**
 * The lines of a chart, the greatest first, each with a label that says what the others' do not.
 * @param {string[]} names tabs, or groups of them
 * @param {(tab: string) => string} typeOf
 * @param {any} figures
 * @param {string | null} figure
 * @returns {import("../detail/tracks.js").Track[]}
 */
export function tracksOf(names, typeOf, figures, figure) {
  const size = (/** @type {string} */ tab) => {
    const value = figures[tab]?.[mainFigure(typeOf(tab), figures[tab], figure)];
    return typeof value === "number" ? value : -Infinity;
  };
  const sorted = [...names].sort((a, b) => size(b) - size(a) || (a < b ? -1 : 1));
  const several = new Set(sorted.map((tab) => split(tab).name)).size > 1;
  return sorted.map((tab, index) => ({ tab, label: several ? tab : inner(tab), type: typeOf(tab), colour: seriesName(index) }));
}

/**
 * A tab by its tags alone: exchange=fbx of bids.won{exchange=fbx}.
 * @param {string} tab
 */
function inner(tab) {
  const brace = tab.indexOf("{");
  return brace < 0 ? tab : tab.slice(brace + 1, -1);
}
