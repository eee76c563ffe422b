/**
 * The tabs that there are. The list is fetched in brief and kept for all pages; where there are more tabs than it takes,
 * the server searches.
 */
import { get } from "./api.js";
import { parsed } from "./globs.js";

/** Tabs that are held here, as early.js asks for them; from there on what is typed is searched for by the server. */
export const MOST = 20_000;
const REFRESH_MS = 5000;
const FIRST_MS = 800;

/** @typedef {import("./globs.js").Tab} Tab */
/** @typedef {{tabs: Tab[], matched: number}} List `matched` is more than there are `tabs` where the list is bounded */

/** @type {Map<string, Tab>} */
const known = new Map();
/** @type {List} */
let list = { tabs: [], matched: 0 };
/** @type {Promise<List> | null} */
let loading = null;

/**
 * All tabs, but Taba's own.
 * @returns {Promise<List>}
 */
export function load() {
  loading ??= fetched("*").then((found) => (list = found)).finally(() => (loading = null));
  return loading;
}

/** @returns {List} as it was last */
export function held() {
  return list;
}

/**
 * The tabs that a glob finds, at most MOST.
 * @param {string} glob
 * @returns {Promise<List>}
 */
export async function fetched(glob) {
  const answer = await get("tabs", { match: glob, brief: "true", limit: MOST });
  const tabs = answer.tabs.map((/** @type {{tab: string, type: string}} */ { tab, type }) => remembered(tab, type));
  return { tabs, matched: answer.matched };
}

/**
 * One tab; null where the server does not know it.
 * @param {string} tab
 * @returns {Promise<Tab | null>}
 */
export async function find(tab) {
  const held = known.get(tab);
  if (held) return held;
  return (await fetched(`=${tab}`)).tabs[0] ?? null;
}

/**
 * Be told of the list, and again when there are more tabs, while the page is seen. Only their number is asked for: no
 * tab ever goes away or changes its type.
 * @param {(list: List) => void} reader
 * @param {(error: Error) => void} failed
 * @returns {() => void} ends it
 */
export function follow(reader, failed) {
  let ended = false;
  let timer = 0;
  let shown = -1;
  let lost = false;
  const look = async () => {
    try {
      if (!document.hidden && (lost || shown < 0 || (await count()) !== shown)) {
        const found = await load();
        shown = found.matched;
        lost = false;
        if (!ended) reader(found);
      }
    } catch (error) {
      lost = true; // the reader is told again when all is well, and so forgets the failure
      if (!ended) failed(/** @type {Error} */ (error));
    }
    // The first tab of all is waited for.
    if (!ended) timer = window.setTimeout(look, shown > 0 ? REFRESH_MS : FIRST_MS);
  };
  look();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** Whether the type of a tab is known here. @param {string} tab */
export function knows(tab) {
  return known.has(tab);
}

/** How many tabs there are. */
async function count() {
  return (await get("tabs", { brief: "true", limit: 1 })).matched;
}

/**
 * @param {string} tab
 * @param {string} type
 */
function remembered(tab, type) {
  let found = known.get(tab);
  if (!found || found.type !== type) {
    found = parsed(tab, type);
    known.set(tab, found);
  }
  return found;
}
