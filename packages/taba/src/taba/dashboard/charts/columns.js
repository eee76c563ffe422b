/**
 * Points -> the columns that a chart draws. Pure.
 *
 * All lines of a chart share one axis of times, the begins of the slices. Where a slice has no point, a line goes on
 * (undefined) if the hole is small against the line's own rhythm, and breaks (null) if it is not.
 */

/** @typedef {import("../merging.js").Point} Point */
/** @typedef {(number | null | undefined)[]} Column */

/** A sum over a slice that has not ended is over the time that has been, but at least over a slice divided by this: the
 *  first moments of a slice say little. */
const LEAST_PART = 3;
/** A hole of so many times the usual distance of points breaks a line. */
const HOLE = 3;
const LEAST_HOLE = 3;

/**
 * The begins of the slices from `from` to `to`.
 * @param {number} from a multiple of `step`
 * @param {number} to
 * @param {number} step
 */
export function times(from, to, step) {
  const all = [];
  for (let time = from; time < to; time += step) all.push(time);
  return all;
}

/**
 * One line's column over `axis`.
 * @param {number[]} axis
 * @param {number} step
 * @param {Point[]} points by rising time
 * @param {import("../kinds.js").Line} line
 * @param {{zero: boolean, until: number, shift?: number}} how `zero`: nothing recorded is 0. `until`: the time up
 *     to which all is here, within the last slice. `shift`: how much later than they are the points are drawn
 * @returns {Column}
 */
export function column(axis, step, points, line, { zero, until, shift = 0 }) {
  /** @type {Column} */
  const found = new Array(axis.length).fill(zero ? 0 : null);
  if (!axis.length) return found;
  const usual = zero ? 0 : rhythm(points, step);
  const reach = Math.max(usual * HOLE, step * LEAST_HOLE);
  let before = -1;
  for (const point of points) {
    const time = point.time + shift;
    const index = Math.round((time - axis[0]) / step);
    if (index < 0 || index >= axis.length) continue;
    const seconds = Math.min(step, Math.max(until - point.time, step / LEAST_PART));
    const value = line.value(point, seconds);
    found[index] = value;
    if (zero || value === null) continue;
    if (before >= 0 && (index - before) * step <= reach) found.fill(undefined, before + 1, index);
    before = index;
  }
  if (zero) trimFuture(found, axis, until + shift);
  return found;
}

/**
 * The usual distance between points: the median.
 * @param {Point[]} points
 * @param {number} step
 */
function rhythm(points, step) {
  if (points.length < 3) return step;
  const gaps = [];
  for (let index = 1; index < points.length; index += 1) gaps.push(points[index].time - points[index - 1].time);
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1];
}

/**
 * Where nothing can be here yet, nothing is not 0.
 * @param {Column} found
 * @param {number[]} axis
 * @param {number} until
 */
function trimFuture(found, axis, until) {
  for (let index = axis.length - 1; index >= 0 && axis[index] >= until && found[index] === 0; index -= 1) found[index] = null;
}

/**
 * The least and the greatest that is drawn, with room above; lines that cannot be below 0 begin there.
 * @param {Column[]} columns
 * @returns {[number, number]}
 */
export function reach(columns) {
  let [low, high] = [Infinity, -Infinity];
  for (const column of columns) {
    for (const value of column) {
      if (value === null || value === undefined) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return [0, 1];
  // From 0 on, unless all is far from it: a temperature of 290 to 293 should be seen to move.
  const base = low >= 0 && low < high * 0.6 ? 0 : low < 0 && high < 0 && high > low * 0.6 ? low * 1.06 : null;
  if (low === high) return low === 0 ? [0, 1] : low > 0 ? [0, high * 1.3] : [low * 1.3, 0];
  const room = (high - low) * 0.08;
  return [base ?? low - room, low < 0 && high <= 0 ? 0 : high + (base === 0 ? high * 0.08 : room)];
}

/**
 * A gauge of texts: for each text how many clients hold it, slice by slice.
 * @param {Point[]} points of the fleet (`values`) or of one client (`value`)
 * @param {number} most texts; the rarest are left out
 * @returns {{value: string, counts: {time: number, clients: number}[], last: number}[]} the most held first
 */
export function holders(points, most = 6) {
  /** @type {Map<string, {time: number, clients: number}[]>} */
  const held = new Map();
  for (const point of points) {
    const values = point.values ?? (point.value === undefined || point.value === null ? [] : [{ value: point.value, clients: 1 }]);
    for (const { value, clients } of values) {
      const counts = held.get(String(value)) ?? [];
      counts.push({ time: point.time, clients });
      held.set(String(value), counts);
    }
  }
  const newest = points.at(-1)?.time;
  const rows = [...held].map(([value, counts]) => ({
    value,
    counts,
    last: counts.at(-1)?.time === newest ? (counts.at(-1)?.clients ?? 0) : 0,
    weight: counts.reduce((sum, one) => sum + one.clients, 0),
  }));
  rows.sort((a, b) => b.last - a.last || b.weight - a.weight);
  return rows.slice(0, most);
}
