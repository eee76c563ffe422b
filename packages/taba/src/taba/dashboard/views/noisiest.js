/**
 * The page "Noisiest": which clients and tabs are recorded most just now, and what share of the whole each is.
 */
import { get, now } from "../api.js";
import { fill, h, setText } from "../dom.js";
import { many, number } from "../format.js";
import { href, stay } from "../place.js";
import { every, troublePlace } from "../polling.js";
import { Table, bar, link } from "../table.js";
import { eventTrend } from "../trends.js";

export const title = "Noisiest";

const SECONDS = 5;
const TREND_SECONDS = 15;
const TREND_SPAN = 3600;
const MOST = 20;
const WINDOWS = { "1m": "minute", "10m": "10 minutes", "1h": "hour" };
const ORDERS = {
  events: ["by events", "Events recorded: what clients send, and what is folded"],
  states: ["by States", "States kept for this time: what storing and asking cost. A sketch has many, a counter has one for each client and slice of time"],
};

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function open(root, place) {
  let query = place.query;
  const window = () => (query.get("window") ?? "") in WINDOWS ? String(query.get("window")) : "1m";
  const order = () => (query.get("order") === "states" ? "states" : "events");
  const tell = (/** @type {Record<string, string>} */ changed) =>
    stay(href(["noisiest"], { window: window(), order: order(), ...changed }));
  const orders = choices("Order", Object.entries(ORDERS).map(([name, [label, hint]]) => ({ name, label, hint })), (name) => tell({ order: name }));
  const windows = choices("Time", Object.entries(WINDOWS).map(([name, label]) => ({ name, label: `last ${label}`, hint: "" })), (name) => tell({ window: name }));
  const trouble = troublePlace();
  const lead = h("p", { class: "lead" }, "\u00a0");
  /** @type {any} */
  let total = { events: 0, counted: 0, states: 0 };
  /** @type {Map<string, Element | null>} */
  const trends = new Map();
  const clients = new Table({
    caption: "The noisiest clients", key: (row) => row.client, sort: "", nothing: "No client recorded anything in this time.",
    columns: [
      { name: "client", label: "Client", value: (row) => row.client, draw: (cell, row) => link(cell, row.client, href(["clients", row.client])) },
      ...figures(() => ({ events: total.events, states: total.states })),
      { name: "tabs", label: "Tabs", numeric: true, spare: true, value: (row) => row.tabs, text: (row) => number(row.tabs) },
      {
        name: "dropped", label: "Lost", numeric: true, spare: true, value: (row) => row.dropped,
        draw(cell, row) {
          cell.classList.toggle("bad", row.dropped > 0);
          cell.title = Object.entries(row.reasons).map(([reason, count]) => `${reason}: ${number(count)}`).join("\n");
          setText(cell, number(row.dropped));
        },
      },
      trendColumn("client", trends),
    ],
  });
  const tabs = new Table({
    caption: "The noisiest tabs", key: (row) => row.tab, sort: "", nothing: "Nothing was recorded in this time.",
    columns: [
      { name: "tab", label: "Tab", value: (row) => row.tab, draw: (cell, row) => link(cell, row.tab, href(["tab", row.tab])) },
      { name: "type", label: "Type", spare: true, value: (row) => row.type },
      ...figures(() => ({ events: total.counted, states: total.states })),
      { name: "clients", label: "Clients", numeric: true, spare: true, value: (row) => row.clients, text: (row) => number(row.clients) },
      trendColumn("tab", trends),
    ],
  });
  const names = new Table({
    caption: "The names with most tabs", key: (row) => row.name, sort: "", nothing: "Nothing was recorded in this time.",
    columns: [
      { name: "name", label: "Name", value: (row) => row.name, draw: (cell, row) => link(cell, row.name, href([""], { q: row.name })) },
      { name: "tabs", label: "Tabs", numeric: true, value: (row) => row.tabs, text: (row) => number(row.tabs), hint: "Each combination of tags' values is a tab" },
      ...figures(() => ({ events: total.counted, states: total.states })),
    ],
  });
  fill(root, h("div", { class: "head-row" }, h("h1", {}, title), orders.element, windows.element), lead, trouble,
    h("div", { class: "two" },
      h("section", {}, h("h2", {}, "Clients"), h("div", { class: "panel table-panel" }, clients.element)),
      h("section", {}, h("h2", {}, "Tabs"), h("div", { class: "panel table-panel" }, tabs.element)),
      h("section", {}, h("h2", {}, "Names with most tabs"), h("div", { class: "panel table-panel" }, names.element))));

  const mark = () => {
    orders.mark(order());
    windows.mark(window());
  };
  const polling = every(SECONDS, async (signal) => {
    const found = await get("noisiest", { window: window(), order: order(), most: MOST }, signal);
    total = found.total;
    setText(lead, told(total, window()));
    clients.show(found.noisiest.clients);
    tabs.show(found.noisiest.tabs);
    names.show(found.noisiest.names);
    if (!trends.size) trending.again();
  }, trouble);
  const trending = every(TREND_SECONDS, async (signal) => {
    const from = now() - TREND_SPAN;
    const [ofClients, ofTabs] = await Promise.all([
      clientTrends([...clients.held.keys()], from, signal),
      tabTrends([...tabs.held.keys()], from, signal),
    ]);
    for (const [key, line] of [...ofClients, ...ofTabs]) trends.set(key, line);
    clients.show(clients.rows);
    tabs.show(tabs.rows);
  }, h("div"));
  mark();
  return {
    change(next) {
      query = next.query;
      mark();
      polling.again();
    },
    close() {
      polling.close();
      trending.close();
    },
  };
}

/**
 * Buttons of which one is pressed.
 * @param {string} label
 * @param {{name: string, label: string, hint: string}[]} all
 * @param {(name: string) => void} choose
 */
function choices(label, all, choose) {
  const buttons = all.map((one) => h("button", { type: "button", title: one.hint || null, data: { name: one.name }, onclick: () => choose(one.name) }, one.label));
  return {
    element: h("div", { class: "row chips", role: "group", "aria-label": label }, buttons),
    mark: (/** @type {string} */ chosen) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.name === chosen))),
  };
}

/**
 * @param {() => any} total
 * @returns {import("../table.js").Column[]}
 */
function figures(total) {
  const share = (/** @type {number | null} */ count, /** @type {number} */ whole) => (count === null || !whole ? 0 : count / whole);
  const shown = (/** @type {number | null} */ count, /** @type {number} */ whole) =>
    count === null ? "–" : `${number(count)} · ${number(Math.round(share(count, whole) * 1000) / 10)} %`;
  return ["events", "states"].map((name) => ({
    name, label: name === "events" ? "Events" : "States", numeric: true, spare: name === "states", value: (row) => row[name],
    hint: name === "events" ? "Recorded in this time; – where the type does not count them" : "Kept for this time",
    draw: (cell, row) => bar(cell, shown(row[name], total()[name]), share(row[name], total()[name])),
  }));
}

/**
 * @param {string} key
 * @param {Map<string, Element | null>} trends
 * @returns {import("../table.js").Column}
 */
function trendColumn(key, trends) {
  return {
    name: "trend", label: "Last hour", value: () => null,
    draw(cell, row) {
      const line = trends.get(`${key} ${row[key]}`);
      if (line && cell.firstChild !== line) fill(cell, line);
    },
  };
}

/**
 * @param {string[]} clients
 * @param {number} from
 * @param {AbortSignal} signal
 * @returns {Promise<[string, Element | null][]>}
 */
async function clientTrends(clients, from, signal) {
  if (!clients.length) return [];
  const found = await get("series", { tab: "taba.client.events", each: "client", from, step: "1m" }, signal);
  const all = found.tabs["taba.client.events"] ?? {};
  return clients.map((client) => [`client ${client}`, eventTrend(all[client] ?? [], found)]);
}

/**
 * @param {string[]} tabs
 * @param {number} from
 * @param {AbortSignal} signal
 * @returns {Promise<[string, Element | null][]>}
 */
async function tabTrends(tabs, from, signal) {
  if (!tabs.length) return [];
  const found = await get("series", { tab: tabs.map((tab) => `=${tab}`), from, step: "1m" }, signal);
  return tabs.map((tab) => [`tab ${tab}`, eventTrend(found.tabs[tab] ?? [], found)]);
}

/**
 * @param {any} total
 * @param {string} window
 */
export function told(total, window) {
  const time = WINDOWS[/** @type {keyof typeof WINDOWS} */ (window)];
  return `${many(total.clients, "client")} recorded ${many(total.events, "event")} to ${many(total.tabs, "tab")} in the last ${time}. States kept for it: ${number(total.states)}.`;
}
