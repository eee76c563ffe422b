/**
 * A tab in a row of a table: its figures in a few words, and a line of how it went.
 */
import { times, column } from "./charts/columns.js";
import { typeColour } from "./charts/colours.js";
import { spark } from "./charts/spark.js";
import { baseType } from "./globs.js";
import { number } from "./format.js";
import { isText, kindOf, mainFigure, shown } from "./kinds.js";

const FIGURES = 2;

/**
 * In a few words: p50 58 ms · p99 98 ms ±1 %, /home ×750, v1.4.2.
 * @param {{tab: string, type: string}} tab
 * @param {any} answer of one client over a window
 * @returns {string}
 */
export function summary({ tab, type }, answer) {
  const kind = kindOf(type, answer);
  if (kind.draws !== "lines") {
    const first = answer.values?.[0];
    if (!first) return "–";
    return first.count === undefined ? String(first.value) : `${first.value} ×${number(first.count)}`;
  }
  if (isText(answer)) return answer.value ?? "–";
  const names = "value" in answer ? ["value"] : kind.figures.slice(0, FIGURES).map((figure) => figure.name);
  const told = names.map((name) => (names.length > 1 && name.startsWith("p") ? `${name} ` : "") + shown(tab, name, answer[name]) + (SAID[name] ?? ""));
  const error = kind.error(answer);
  return told.join(" · ") + (error ? ` ${error}` : "");
}

/** What is said behind a figure that its number does not tell. @type {Record<string, string>} */
const SAID = { total: " in all", uniques: " distinct", clients: " clients" };

/**
 * A line of a tab's main figure, as high as it goes by itself.
 * @param {{tab: string, type: string}} tab
 * @param {import("./merging.js").Point[]} points
 * @param {{from: number, to: number, step: number}} range
 * @returns {Element | null} null where there is nothing to draw
 */
export function trend({ type }, points, range) {
  const sample = points.at(-1) ?? null;
  const kind = kindOf(type, sample);
  if (!sample || isText(sample)) return null;
  const line = kind.lines(kind.draws === "lines" ? mainFigure(type, sample) : null, sample)[0];
  return line ? drawn(points, range, line, kind.zero, typeColour(baseType(type))) : null;
}

/**
 * A line of how many events there were.
 * @param {import("./merging.js").Point[]} points
 * @param {{from: number, to: number, step: number}} range
 * @returns {Element | null}
 */
export function eventTrend(points, range) {
  if (!points.some((point) => typeof point.count === "number")) return null;
  const line = { label: "events", role: /** @type {"main"} */ ("main"), value: (/** @type {any} */ point) => point.total ?? point.count };
  return drawn(points, range, line, true, "--accent");
}

/**
 * @param {import("./merging.js").Point[]} points
 * @param {{from: number, to: number, step: number}} range
 * @param {import("./kinds.js").Line} line
 * @param {boolean} zero
 * @param {string} colour
 */
function drawn(points, { from, to, step }, line, zero, colour) {
  // The slice that has not ended yet would look like a fall.
  const axis = times(from, Math.floor(to / step) * step, step);
  const values = column(axis, step, points, line, { zero, until: to });
  const figures = values.filter((value) => typeof value === "number");
  if (!figures.length) return null;
  return spark(values, [Math.min(0, ...figures), Math.max(0, ...figures)], colour);
}
