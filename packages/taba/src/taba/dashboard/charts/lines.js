/**
 * A tab's points -> the lines that a chart draws of them. Pure.
 */
import { unitOf } from "../format.js";
import { baseType, split } from "../globs.js";
import { kindOf, mainFigure, shown } from "../kinds.js";
import { column, times } from "./columns.js";
import { typeColour } from "./colours.js";

/** @typedef {import("../merging.js").Point} Point */
/** @typedef {{points: Point[], from: number, to: number, step: number, completeTo: number}} Series */

/**
 * A picture of one tab alone: with its bands, filled, in its type's colour.
 * @param {{tab: string, type: string}} tab
 * @param {Series} series
 * @param {{figure?: string | null, before?: {points: Point[], shift: number} | null}} [how]
 * @returns {import("./plot.js").Picture}
 */
export function alone({ tab, type }, series, { figure = null, before = null } = {}) {
  const { points, from, to, step, completeTo } = series;
  const axis = times(from, to, step);
  const sample = points.at(-1) ?? before?.points.at(-1) ?? null;
  const kind = kindOf(type, sample);
  const found = kind.lines(figure, sample);
  const colour = typeColour(baseType(type));
  const text = axisText(tab, found);
  /** @type {import("./plot.js").Drawn[]} */
  const lines = found.map((line, index) => ({
    label: line.label,
    colour: line.role === "also" ? `--series-${index + 1}` : colour,
    column: column(axis, step, points, line, { zero: kind.zero && isSum(line.label), until: Math.min(to, completeTo) }),
    role: line.role,
    over: line.over,
    path: kind.path,
    filled: found.length === 1,
    text,
  }));
  if (before) {
    const line = found.find((one) => one.role === "main") ?? found[0];
    if (line) lines.push({ ...beforeLine(axis, series, line, kind, before), text });
  }
  return { axis, from, to, step, completeTo, lines, text, binary: isBytes(tab) };
}

/**
 * One line of several that share a chart.
 * @param {{tab: string, type: string, label: string, colour: string}} tab
 * @param {Series} series
 * @param {{figure?: string | null, axis: number[]}} how
 * @returns {import("./plot.js").Drawn[]} none where it has nothing to draw
 */
export function among({ tab, type, label, colour }, series, { figure = null, axis }) {
  const sample = series.points.at(-1) ?? null;
  const kind = kindOf(type, sample);
  const chosen = figure && kind.choices.includes(figure) ? figure : mainFigure(type, sample);
  const line = kind.lines(chosen, sample)[0];
  if (!line) return [];
  const zero = kind.zero && isSum(line.label);
  return [{
    label, colour, role: "main", path: kind.path,
    column: column(axis, series.step, series.points, line, { zero, until: Math.min(series.to, series.completeTo) }),
    text: axisText(tab, [line]),
  }];
}

/**
 * @param {number[]} axis
 * @param {Series} series
 * @param {import("../kinds.js").Line} line
 * @param {import("../kinds.js").Kind} kind
 * @param {{points: Point[], shift: number}} before
 * @returns {import("./plot.js").Drawn}
 */
function beforeLine(axis, { to, step, completeTo }, line, kind, { points, shift }) {
  const zero = kind.zero && isSum(line.label) && points.length > 0;
  return {
    label: "before", colour: "--muted", role: "also", dashed: true, path: kind.path,
    column: column(axis, step, points, line, { zero, until: Math.min(to, completeTo) - shift, shift }),
  };
}

/** @param {string} tab */
export function isBytes(tab) {
  return unitOf(split(tab).name) === "B";
}

/** Nothing recorded makes a sum 0, but no mean. @param {string} label */
function isSum(label) {
  return !["mean", "min", "max"].includes(label);
}

/**
 * How values on the axis are written: with the tab's unit where they are values, plainly where they are counts.
 * @param {string} tab
 * @param {import("../kinds.js").Line[]} lines
 * @returns {(value: number, digits?: number) => string}
 */
function axisText(tab, lines) {
  const label = lines[0]?.label ?? "";
  const name = label === "per second" ? "rate" : /^(events|kept|distinct)/.test(label) ? "count" : label;
  return (value, digits) => shown(tab, name, value, digits);
}
