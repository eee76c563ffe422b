/**
 * Changes merged into the answer that one has. Pure: what is given is not changed, the merged answer is new where it
 * differs.
 */

/** @typedef {"aggregates" | "projections" | "series"} Of */
/** @typedef {{time: number, [figure: string]: any}} Point */

/**
 * @param {Of} of
 * @param {any} held the whole answer so far
 * @param {any} changes the head, and `tabs` with what changed; null for a tab that is gone
 * @param {boolean} [each] whether a series' points are by client too
 * @returns {any}
 */
export function merge(of, held, changes, each = false) {
  const tabs = { ...held.tabs };
  for (const [tab, change] of Object.entries(changes.tabs)) {
    if (change === null) delete tabs[tab];
    else tabs[tab] = merged(of, tabs[tab], change, changes.from, each);
  }
  if (of === "series") {
    for (const tab of Object.keys(tabs)) {
      if (!(tab in changes.tabs)) tabs[tab] = each ? byClient(tabs[tab], {}, changes.from) : since(tabs[tab], changes.from);
    }
  }
  return { ...held, ...changes, tabs };
}

/**
 * @param {Of} of
 * @param {any} held
 * @param {any} change
 * @param {number} from
 * @param {boolean} each
 */
function merged(of, held, change, from, each) {
  if (of === "aggregates") return { ...held, ...change };
  if (of === "projections") return withoutNulls({ ...held, ...change });
  return each ? byClient(held ?? {}, change, from) : since(points(held ?? [], change), from);
}

/**
 * @param {Record<string, Point[]>} held
 * @param {Record<string, Point[] | null>} change
 * @param {number} from
 */
function byClient(held, change, from) {
  /** @type {Record<string, Point[]>} */
  const clients = {};
  for (const client of new Set([...Object.keys(held), ...Object.keys(change)])) {
    const changed = change[client];
    if (changed === null) continue;
    const left = since(changed ? points(held[client] ?? [], changed) : (held[client] ?? []), from);
    if (left.length) clients[client] = left;
  }
  return clients;
}

/**
 * Two lists of points, each by rising time, as one; where both have a time, the newer list's.
 * @param {Point[]} held
 * @param {Point[]} changed
 * @returns {Point[]}
 */
export function points(held, changed) {
  if (!changed.length) return held;
  if (!held.length || held[held.length - 1].time < changed[0].time) return [...held, ...changed];
  const both = [];
  let old = 0;
  for (const point of changed) {
    while (old < held.length && held[old].time < point.time) both.push(held[old++]);
    if (old < held.length && held[old].time === point.time) old += 1;
    both.push(point);
  }
  while (old < held.length) both.push(held[old++]);
  return both;
}

/**
 * The points from a time on.
 * @param {Point[]} all by rising time
 * @param {number} from
 */
function since(all, from) {
  if (!all.length || all[0].time >= from) return all;
  const first = all.findIndex((point) => point.time >= from);
  return first < 0 ? [] : all.slice(first);
}

/** @param {Record<string, any>} fields */
function withoutNulls(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}
