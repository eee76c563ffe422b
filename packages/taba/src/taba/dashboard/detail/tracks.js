/**
 * Which lines share the chart of the tab's page: its tab alone, several tabs, or the groups of a name. Pure.
 */
import { seriesName } from "../charts/colours.js";
import { among, isBytes } from "../charts/lines.js";
import { times } from "../charts/columns.js";
import { number } from "../format.js";
import { mainFigure } from "../kinds.js";

/** Groups that are drawn at once; more could not be told apart. */
export const MOST = 8;

/** @typedef {{tab: string, label: string, type: string, colour: string}} Track */

/**
 * The tracks of an answer: tabs in the order asked for, groups with the greatest first.
 * @param {import("./asked.js").Asked} asked
 * @param {any} figures answers over the range, by tab or group
 * @param {any} series
 * @param {(tab: string) => string} typeOf
 * @returns {Track[]}
 */
export function tracks(asked, figures, series, typeOf) {
  const type = typeOf(asked.tab);
  const names = asked.by === null ? [asked.tab, ...asked.also] : ranked(figures, series, type, asked.figure);
  return names.map((tab, index) => ({
    tab,
    label: asked.by === null ? tab : inner(tab),
    type: asked.by === null ? typeOf(tab) : type,
    colour: seriesName(index),
  }));
}

/**
 * @param {any} figures
 * @param {any} series
 * @param {string} type
 * @param {string | null} figure
 */
function ranked(figures, series, type, figure) {
  const size = (/** @type {string} */ group) => {
    const value = figures[group]?.[mainFigure(type, figures[group] ?? null, figure)];
    return typeof value === "number" ? value : -Infinity;
  };
  const groups = new Set([...Object.keys(series?.tabs ?? {}), ...Object.keys(figures)]);
  return [...groups].sort((a, b) => size(b) - size(a) || (a < b ? -1 : 1));
}

/**
 * A group by its tags alone: exchange=fbx of bids.won{exchange=fbx}.
 * @param {string} group
 */
function inner(group) {
  const brace = group.indexOf("{");
  return brace < 0 ? group : group.slice(brace + 1, -1);
}

/**
 * The picture of several tracks.
 * @param {Track[]} all
 * @param {any} series
 * @param {{series: any, shift: number} | null} before
 * @param {string | null} figure
 * @returns {import("../charts/plot.js").Picture}
 */
export function together(all, series, before, figure) {
  const { from, to, step, complete_to: completeTo, tabs } = series;
  const axis = times(from, to, step);
  const lines = all.slice(0, MOST).flatMap((track) => {
    const points = tabs[track.tab] ?? [];
    const drawn = among(track, { points, from, to, step, completeTo }, { figure, axis });
    const earlier = before?.series.tabs[track.tab];
    if (!earlier || !before) return drawn;
    const moved = earlier.map((/** @type {any} */ point) => ({ ...point, time: point.time + before.shift }));
    const past = among({ ...track, label: `${track.label}, before` }, { points: moved, from, to, step, completeTo }, { figure, axis });
    return [...drawn, ...past.map((line) => ({ ...line, dashed: true, role: /** @type {"also"} */ ("also") }))];
  });
  // Values of different kinds share an axis of plain numbers; the pointer tells each with its unit.
  const alike = new Set(lines.map((line) => line.text?.(1))).size === 1;
  const text = (alike && lines[0]?.text) || number;
  return { axis, from, to, step, completeTo, lines, text, binary: alike && isBytes(all[0]?.tab ?? "") };
}
