/**
 * What stands in the place of frames that were given up: what they held, by tab, as lost (docs/frame.md, "Tombstones").
 * @typedef {import("./frame.js").Header} Header
 */

export const MAX_NAMED = 1000;
const OTHER = "other";

/**
 * One header in the place of frames of one epoch, whose sequences follow one another and ascend.
 * @param {Header[]} headers any of which may be a tombstone itself
 * @param {string} reason why their events are lost
 * @param {number} [named] bounds the losses that are named by tab and reason
 * @returns {Header}
 */
export function tombstone(headers, reason, named = MAX_NAMED) {
  const first = headers[0];
  const last = headers[headers.length - 1];
  const { client, epoch, sequence, stop, closing, began, recorded } = last;
  const drops = bounded(losses(headers, reason), named);
  const none = { names: [], types: [], counts: [] };
  return {
    client, epoch, sequence, start: first.start, stop, ...none,
    drops, closing, began, recorded, first: first.first ?? first.sequence,
  };
}

/**
 * How many events are lost, by tab and reason.
 * @param {Header[]} headers
 * @param {string} reason
 */
function losses(headers, reason) {
  /** @type {Map<string, [string, string, number]>} */
  const found = new Map();
  const add = (/** @type {string} */ tab, /** @type {string} */ why, /** @type {number} */ count) => {
    const loss = found.get(`${tab}\n${why}`);
    if (loss) loss[2] += count;
    else found.set(`${tab}\n${why}`, [tab, why, count]);
  };
  for (const { names, counts, texts, drops } of headers) {
    names.forEach((tab, place) => add(tab, reason, counts[place]));
    texts?.names.forEach((tab, place) => add(tab, reason, texts.counts[place]));
    drops?.names.forEach((tab, place) => add(tab, drops.reasons[place], drops.counts[place]));
  }
  return [...found.values()];
}

/**
 * The greatest losses as they are, and the rest of each reason as one.
 * @param {[string, string, number][]} found
 * @param {number} named
 */
function bounded(found, named) {
  if (!found.length) return null;
  let kept = found;
  if (found.length > named) {
    const sorted = [...found].sort((one, other) => other[2] - one[2]);
    /** @type {Map<string, number>} */
    const rest = new Map();
    for (const [, reason, count] of sorted.slice(named)) rest.set(reason, (rest.get(reason) ?? 0) + count);
    kept = [...sorted.slice(0, named)];
    for (const [reason, count] of rest) kept.push([OTHER, reason, count]);
  }
  return { names: kept.map((one) => one[0]), reasons: kept.map((one) => one[1]), counts: kept.map((one) => one[2]) };
}
