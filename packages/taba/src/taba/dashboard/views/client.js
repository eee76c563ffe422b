/**
 * One client: how it is, what became of its events, and all that it records.
 */
import { get, now } from "../api.js";
import * as catalogue from "../catalogue.js";
import { fits, joined } from "../clients.js";
import { fill, h, setText } from "../dom.js";
import { ago, clock, number } from "../format.js";
import { equation, showReasons } from "../losses.js";
import { href } from "../place.js";
import { every, troublePlace } from "../polling.js";
import { Table, link } from "../table.js";
import { summary, trend } from "../trends.js";
import { drawState } from "./client-list.js";

const SECONDS = 3;
const TREND_SECONDS = 15;
const TREND_SPAN = 3600;
const SHOWN = 60;

/**
 * @param {HTMLElement} root
 * @param {string} name
 * @returns {import("../app.js").View}
 */
export function openClient(root, name) {
  document.title = `${name} · Clients · Taba`;
  const state = h("span", {});
  const facts = h("dl", { class: "facts" });
  const sums = h("div", { class: "panel pad" });
  const reasons = h("div", { class: "panel pad", hidden: true });
  const trouble = troublePlace();
  const find = h("input", { type: "search", "aria-label": "Find tabs of this client", placeholder: "Find tabs" });
  /** @type {Map<string, Element | null>} */
  const trends = new Map();
  const table = new Table({
    caption: `What ${name} recorded`, key: (row) => row.tab, sort: "tab", most: SHOWN, columns: columns(name, trends),
    nothing: "Nothing in the last ten minutes.",
  });
  fill(root,
    h("p", { class: "crumbs" }, h("a", { href: href(["clients"]) }, "Clients")),
    h("div", { class: "head-row" }, h("h1", { class: "mono" }, name), state),
    trouble, facts, sums, reasons,
    h("div", { class: "head-row" }, h("h2", {}, "What it records"), find),
    h("div", { class: "panel table-panel" }, table.element));

  /** @type {{tab: string, type: string, answer: any}[]} */
  let rows = [];
  const show = () => table.show(rows.filter((row) => fits(row.tab, find.value)));
  const polling = every(SECONDS, async (signal) => {
    const [ledger, events, found] = await Promise.all([
      get("ledger", { client: name }, signal),
      get("projections", { tab: "taba.client.events", client: name, window: "1m" }, signal),
      get("projections", { client: name, window: "10m" }, signal),
    ]);
    const [client] = joined(ledger, null, events, now());
    showClient({ state, facts, sums, reasons }, client, Object.keys(found.tabs).length);
    if (!Object.keys(found.tabs).every(catalogue.knows)) await catalogue.load();
    rows = await Promise.all(Object.entries(found.tabs).map(async ([tab, clients]) =>
      ({ tab, type: (await catalogue.find(tab))?.type ?? "", answer: clients[name]["10m"] })));
    show();
  }, trouble);
  const trending = every(TREND_SECONDS, async (signal) => {
    const shown = rows.filter((row) => table.held.has(row.tab));
    if (!shown.length) return;
    const series = await get("series", { client: name, tab: shown.map((row) => `=${row.tab}`), from: now() - TREND_SPAN, step: "1m" }, signal);
    for (const row of shown) trends.set(row.tab, trend(row, series.tabs[row.tab] ?? [], series));
    show();
  }, h("div"));
  const first = new MutationObserver(() => { first.disconnect(); trending.again(); });
  first.observe(table.body, { childList: true });
  find.addEventListener("input", () => { show(); trending.again(); });
  return {
    change() {},
    close() {
      polling.close();
      trending.close();
      first.disconnect();
    },
  };
}

/**
 * @param {string} client
 * @param {Map<string, Element | null>} trends
 * @returns {import("../table.js").Column[]}
 */
function columns(client, trends) {
  return [
    { name: "tab", label: "Tab", value: (row) => row.tab, draw: (cell, row) => link(cell, row.tab, href(["tab", row.tab], { client })) },
    { name: "figure", label: "Last 10 minutes", value: (row) => summary(row, row.answer) },
    {
      name: "trend", label: "Last hour", value: () => null,
      draw(cell, row) {
        const line = trends.get(row.tab);
        if (line && cell.firstChild !== line) fill(cell, line);
      },
    },
  ];
}

/**
 * @param {Record<"state" | "facts" | "sums" | "reasons", HTMLElement>} places
 * @param {import("../clients.js").Client | undefined} client
 * @param {number} tabs
 */
function showClient({ state, facts, sums, reasons }, client, tabs) {
  if (!client) {
    setText(state, "is not known here: it has not recorded anything, or so long ago that nothing is kept");
    return;
  }
  drawState(state, client);
  const told = [
    ["Last heard", ago(now() - client.heard)],
    ["Complete to", client.complete_to === null ? "not known: it posts JSON" : `${clock(client.complete_to)} (${ago(now() - client.complete_to)})`],
    ["Events a second", `${number(client.rate)} over the last minute`],
    ["Tabs", `${number(tabs)} in the last 10 minutes`],
    ["Processes", number(client.processes)],
  ];
  if (client.in_flight_since !== null) told.push(["In flight since", clock(client.in_flight_since)]);
  fill(facts, told.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  fill(sums, equation(client));
  reasons.hidden = client.dropped === 0;
  if (client.dropped) showReasons(reasons, client.reasons);
}
