/**
 * What is known of clients: the ledger's rows, the list and the rates put together. Pure.
 */

/** A client that is silent for so long is no longer waited for, in seconds, as the server has it. */
export const LIVE_SECONDS = 10;

/** @typedef {"current" | "behind" | "silent"} State */

/** What states are called, and what they mean. @type {Record<State, [string, string]>} */
export const STATES = {
  current: ["current", "heard in the last 10 s, with nothing missing that is older"],
  behind: ["behind", "heard in the last 10 s, but something older is still missing"],
  silent: ["silent", "not heard for 10 s: no longer waited for"],
};

/**
 * @typedef {object} Client
 * @property {string} client
 * @property {State} state
 * @property {number} heard
 * @property {number | null} complete_to  null: it posts JSON, and nobody knows what it still has
 * @property {number} recorded
 * @property {number} folded
 * @property {number} dropped
 * @property {Record<string, number>} reasons
 * @property {number} in_flight
 * @property {number | null} in_flight_since
 * @property {number} processes
 * @property {number | null} tabs         null: not counted yet
 * @property {number} rate               events a second over the last minute
 */

/**
 * @param {any} row a client's row of the ledger
 * @param {number} now
 * @returns {State}
 */
export function state(row, now) {
  if (row.heard < now - LIVE_SECONDS) return "silent";
  return row.complete_to !== null && row.complete_to < now - LIVE_SECONDS ? "behind" : "current";
}

/**
 * @param {any} ledger      as GET /v1/ledger answers
 * @param {any} listed      as GET /v1/clients; null: not known yet
 * @param {any} events      as GET /v1/projections of taba.client.events over 1m
 * @param {number} now
 * @returns {Client[]}
 */
export function joined(ledger, listed, events, now) {
  const rates = events.tabs["taba.client.events"] ?? {};
  return Object.entries(ledger.ledger).map(([client, row]) => ({
    client,
    state: state(row, now),
    heard: row.heard,
    complete_to: row.complete_to,
    recorded: row.recorded,
    folded: row.folded,
    dropped: sum(row.dropped),
    reasons: row.dropped,
    in_flight: row.in_flight,
    in_flight_since: row.in_flight_since,
    processes: row.processes,
    tabs: tabsOf(listed, client),
    rate: rates[client]?.["1m"]?.rate ?? 0,
  }));
}

/** @type {WeakMap<object, Map<string, number>>} */
const counted = new WeakMap();

/**
 * How many tabs a client recorded to in the last hour.
 * @param {any} listed as GET /v1/clients; null: not known yet
 * @param {string} client
 * @returns {number | null}
 */
export function tabsOf(listed, client) {
  if (!listed) return null;
  let counts = counted.get(listed);
  if (!counts) {
    counts = new Map(listed.clients.map((/** @type {any} */ one) => [one.client, one.tabs]));
    counted.set(listed, counts);
  }
  return counts.get(client) ?? 0;
}

/** @param {Record<string, number>} counts */
export function sum(counts) {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/**
 * Whether a name fits what was typed: a part of it, or a glob of * and ?.
 * @param {string} name
 * @param {string} typed
 */
export function fits(name, typed) {
  const wanted = typed.trim().toLowerCase();
  if (!/[*?]/.test(wanted)) return name.toLowerCase().includes(wanted);
  const written = wanted.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, ".*").replace(/\?/g, ".");
  return new RegExp(`^${written}$`, "s").test(name.toLowerCase());
}
