/**
 * What an address asks of the tab's page, and the questions that follow from it. Pure.
 */
import { split } from "../globs.js";
import { href } from "../place.js";
import { BEFORE, ends, rangeOf, spanOf, stepFor, written } from "../ranges.js";

/**
 * @typedef {object} Asked
 * @property {string} tab        the page's own
 * @property {string[]} also     tabs that are on the same chart
 * @property {string | null} by  the tag that the tabs of the name are grouped by; "" for all in one
 * @property {string | null} figure
 * @property {string | null} before  a name in BEFORE
 * @property {string | null} client
 * @property {import("../ranges.js").Range} range
 * @property {URLSearchParams} query
 */

/** Taba's own tab of events that came late: they are in the answers, which were shown without them before. */
export const LATE = "taba.client.late";
/** Points of a chart, and of each client's line. */
const POINTS = 300;
const CLIENT_POINTS = 60;

/**
 * @param {import("../place.js").Place} place
 * @returns {Asked}
 */
export function asked(place) {
  const { query } = place;
  const before = query.get("before");
  return {
    tab: place.rest.join("/"),
    also: query.getAll("tab"),
    by: query.get("by"),
    figure: query.get("figure"),
    before: before !== null && before in BEFORE ? before : null,
    client: query.get("client"),
    range: rangeOf(query),
    query,
  };
}

/**
 * The same place with some fields changed; null leaves a field out.
 * @param {Asked} asked
 * @param {Record<string, string | string[] | null>} changes
 */
export function changed(asked, changes) {
  const query = new URLSearchParams(asked.query);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    if (value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, one);
  }
  return href(["tab", asked.tab], query);
}

/**
 * Which States are asked for: the fields of series and aggregates alike.
 * @param {Asked} asked
 * @returns {import("../api.js").Fields}
 */
export function selected(asked) {
  const client = asked.client ?? undefined;
  if (asked.by !== null) return { tab: split(asked.tab).name, by: asked.by, client };
  return { tab: [asked.tab, ...asked.also].map((tab) => `=${tab}`), client };
}

/**
 * The same for figures: and how many events came late, of all tabs.
 * @param {Asked} asked
 * @returns {import("../api.js").Fields}
 */
export function selectedFigures(asked) {
  const fields = selected(asked);
  return { ...fields, tab: [/** @type {string | string[]} */ (fields.tab), `=${LATE}`].flat() };
}

/**
 * @param {Asked} asked
 * @returns {number}
 */
export function stepOf(asked) {
  return stepFor(spanOf(asked.range), POINTS);
}

/**
 * The fields of a series that moves on with the time.
 * @param {Asked} asked a range that has a name
 */
export function liveSeries(asked) {
  const span = spanOf(asked.range);
  return { ...selected(asked), span: written(span), step: written(stepOf(asked)) };
}

/**
 * The fields of a series between two times, `shift` seconds before those that are asked for.
 * @param {Asked} asked
 * @param {number} now
 * @param {number} [shift]
 */
export function fixedSeries(asked, now, shift = 0) {
  const { from, to } = ends(asked.range, now);
  return { ...selected(asked), from: from - shift, to: to - shift, step: written(stepOf(asked)) };
}

/**
 * The fields of the figures over the whole range.
 * @param {Asked} asked
 * @param {number} now
 * @param {number} [shift]
 */
export function fixedFigures(asked, now, shift = 0) {
  const { from, to } = ends(asked.range, now);
  return { ...selectedFigures(asked), from: from - shift, to: to - shift };
}

/**
 * What is asked of each client of the page's own tab.
 * @param {Asked} asked
 * @param {number} now
 */
export function ofClients(asked, now) {
  const { from, to } = ends(asked.range, now);
  const tab = `=${asked.tab}`;
  return {
    series: { tab, each: "client", from, to, step: written(stepFor(to - from, CLIENT_POINTS)) },
    figures: { tab, from, to },
  };
}
