/**
 * The server's HTTP interface. Addresses are relative, so it works below any path of a proxy.
 */

import { tellLocked } from "./lock.js";

/** @typedef {Record<string, string | number | (string | number)[] | null | undefined>} Fields */

/** What the server refused or failed at; the text is its own, for people. */
export class Refused extends Error {
  /**
   * @param {string} text
   * @param {number} status 0 where no answer came
   */
  constructor(text, status) {
    super(text);
    this.name = "Refused";
    this.status = status;
  }
}

/**
 * GET /v1/NAME as JSON; raises Refused.
 * @param {string} name
 * @param {Fields} [fields] what is null or undefined is left out, what is a list is repeated
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(name, fields = {}, signal) {
  let response;
  try {
    const where = address(name, fields);
    response = await (early(where) ?? fetch(where, { headers: { Accept: "application/json" }, signal: signal ?? null }));
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused("the server cannot be reached", 0);
  }
  noteTime(response.headers.get("date"));
  const answer = await response.json().catch(() => null);
  if (response.status === 401) tellLocked(answer?.error ?? "");
  if (!response.ok) throw new Refused(answer?.error ?? `the server answers ${response.status}`, response.status);
  if (answer === null) throw new Refused("the server's answer is no JSON", response.status);
  tellHead(answer);
  return answer;
}

/**
 * The answer that was asked for before the modules were here; it is taken once.
 * @param {string} where
 * @returns {Promise<Response> | null}
 */
function early(where) {
  const asked = /** @type {any} */ (window).tabaEarly;
  if (asked?.address !== where) return null;
  /** @type {any} */ (window).tabaEarly = null;
  return asked.response;
}

/**
 * The address of a call.
 * @param {string} name
 * @param {Fields} fields
 */
export function address(name, fields = {}) {
  const written = new URLSearchParams();
  for (const [field, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined) written.append(field, String(one));
    }
  }
  const query = written.toString();
  return `v1/${name}${query ? `?${query}` : ""}`;
}

/**
 * How complete answers are: complete_to, and of how many of the clients.
 * @typedef {{complete_to: number, clients: {current: number, known: number}, late: number}} Head
 */

/** @type {Set<(head: Head) => void>} */
const readers = new Set();

/**
 * Be told of each answer's head.
 * @param {(head: Head) => void} reader
 */
export function onHead(reader) {
  readers.add(reader);
}

/** @param {any} answer */
export function tellHead(answer) {
  // In the list of clients the name `clients` is the list's.
  if (typeof answer.complete_to !== "number" || Array.isArray(answer.clients)) return;
  for (const reader of readers) reader(answer);
}

const CLOCKS_AGREE = 2;
let ahead = 0;

/**
 * The time by the server's clock, in seconds since 1970: a page may run on a machine whose clock is wrong.
 */
export function now() {
  return Date.now() / 1000 + ahead;
}

/** @param {string | null} date a header, exact to a second */
function noteTime(date) {
  const difference = date ? Date.parse(date) / 1000 - Date.now() / 1000 : 0;
  ahead = Math.abs(difference) > CLOCKS_AGREE ? difference : 0;
}
