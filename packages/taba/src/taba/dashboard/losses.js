/**
 * Where events are lost: the reasons, what each means, and bars of how many.
 */
import { fill, h } from "./dom.js";
import { number } from "./format.js";

/** What each reason means and what to do. @type {Record<string, string>} */
export const REASONS = {
  bad_name: "the tab's name or tags break the rules of names",
  unknown_type: "the server has no handler of this type",
  type_conflict: "the name has another type already",
  tab_limit: "more tabs than the client's bound, or the server's limits.tabs",
  client_tab_limit: "more tabs of the client than limits.client_tabs",
  name_tab_limit: "more tabs of one name than limits.name_tabs: a tag has too many values",
  tag_limit: "more tags of a tab than limits.tab_tags",
  bad_client: "no client id, or one that breaks the rules",
  wrong_type: "text for a type that takes numbers, or neither number nor text",
  not_finite: "infinite, or not a number",
  too_long: "a text of more than 1,024 characters",
  too_old: "older than what the longest tier keeps",
  future: "too far ahead of the server's clock: look at the client's clock",
  unreadable: "an event of a JSON body that is none",
  forgotten: "frames that were missing behind more than 1,024 later ones",
  superseded: "a gauge's value that another kind of value followed at once",
  flush_limit: "more in one flush than the client's bound",
  pending_full: "the client's memory for unsent events was full: the server or agent was away for too long",
  flush_failed: "the client's flush was broken off",
  refused: "a server or an agent refused the whole frame",
  stopped: "recorded after the client had stopped",
  spool_full: "the oldest in an agent's full spool",
  spool_corrupt: "an agent's spool was damaged on the disk",
};

/**
 * Bars of what was dropped by reason, the most first.
 * @param {HTMLElement} root
 * @param {Record<string, number>} dropped
 */
export function showReasons(root, dropped) {
  const reasons = Object.entries(dropped).sort((one, other) => other[1] - one[1]);
  const most = reasons[0]?.[1] ?? 1;
  fill(root, h("ul", { class: "reasons" }, reasons.map(([reason, count]) => {
    const filled = h("div", {});
    filled.style.width = `${(count / most) * 100}%`;
    return h("li", {},
      h("div", { class: "reason" }, h("code", {}, reason), h("span", { class: "muted small" }, REASONS[reason] ?? "")),
      h("div", { class: "loss", "aria-hidden": "true" }, filled),
      h("span", { class: "number" }, number(count)));
  })));
}

/**
 * recorded = folded + dropped + in flight, as figures.
 * @param {{recorded: number, folded: number, dropped: number, in_flight: number}} sums
 */
export function equation(sums) {
  const part = (/** @type {string} */ sign, /** @type {string} */ name, /** @type {number} */ count, /** @type {string} */ told, /** @type {string} */ state = "") =>
    h("div", { class: `part ${state}`, data: { sign } }, h("dt", {}, name),
      h("dd", { class: "figure", title: count.toLocaleString("en") }, number(count)), h("dd", { class: "muted small" }, told));
  return h("dl", { class: "equation" },
    part("", "recorded", sums.recorded, "as the clients say"),
    part("=", "folded", sums.folded, "in the answers"),
    part("+", "dropped", sums.dropped, "lost, by reason", sums.dropped ? "bad" : ""),
    part("+", "in flight", sums.in_flight, "missing, not given up", sums.in_flight ? "fair" : ""));
}
