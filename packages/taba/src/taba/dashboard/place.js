/**
 * The address says it all: which page, and what in it. `#/tab/orders?range=1h` is the page `tab`, of `orders`, with the
 * parameter `range`. It comes after the `#`, so that the server needs to know of no page, whatever path it is served at.
 */

/**
 * @typedef {object} Place
 * @property {string} page      the first part of the path; "" is the first page
 * @property {string[]} rest    its further parts
 * @property {URLSearchParams} query
 */

/**
 * @param {string} hash as in location.hash
 * @returns {Place}
 */
export function parse(hash) {
  const [path, , query] = split(hash.replace(/^#\/?/, ""), "?");
  const [page = "", ...rest] = path.split("/").map(decoded);
  return { page, rest: rest.filter((part) => part !== ""), query: new URLSearchParams(query) };
}

/**
 * The address of a place, for links.
 * @param {string[]} path
 * @param {URLSearchParams | Record<string, string | string[] | number | null | undefined>} [query]
 *     what is null, undefined or "" is left out
 */
export function href(path, query = {}) {
  const fields = query instanceof URLSearchParams ? query : new URLSearchParams();
  if (!(query instanceof URLSearchParams)) {
    for (const [name, value] of Object.entries(query)) {
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== null && one !== undefined && one !== "") fields.append(name, String(one));
      }
    }
  }
  const written = fields.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${written ? `?${written}` : ""}`;
}

/**
 * Go to another place, so that the browser's back button leads back here.
 * @param {string} address
 */
export function go(address) {
  if (location.hash !== address) location.hash = address;
}

/**
 * Say what is shown now, without a step in the browser's history: for what changes while one types.
 * @param {string} address
 */
export function stay(address) {
  if (location.hash === address) return;
  history.replaceState(history.state, "", address);
  window.dispatchEvent(new Event("hashchange"));
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * @param {string} text
 * @param {string} at
 * @returns {[string, string, string]}
 */
function split(text, at) {
  const index = text.indexOf(at);
  return index < 0 ? [text, "", ""] : [text.slice(0, index), at, text.slice(index + 1)];
}
