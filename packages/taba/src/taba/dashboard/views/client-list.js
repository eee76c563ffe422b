/**
 * All clients in a table: who is there, who is not, and how complete each is.
 */
import { get, now } from "../api.js";
import { STATES, fits, joined, tabsOf } from "../clients.js";
import { fill, h, setText } from "../dom.js";
import { ago, number } from "../format.js";
import { href, stay } from "../place.js";
import { every, troublePlace } from "../polling.js";
import { Table, link } from "../table.js";

const SECONDS = 2;
/** How many tabs each client has is counted from all States of the last hour, and changes slowly. */
const COUNT_SECONDS = 30;

/** @type {import("../table.js").Column[]} */
const COLUMNS = [
  { name: "client", label: "Client", value: (row) => row.client, draw: (cell, row) => link(cell, row.client, href(["clients", row.client])) },
  { name: "state", label: "State", value: (row) => row.state, draw: drawState },
  {
    name: "heard", label: "Last heard", numeric: true, value: (row) => row.heard, text: (row) => ago(now() - row.heard),
    hint: "When the server last heard of it",
  },
  {
    name: "complete", label: "Complete to", numeric: true, spare: true, value: (row) => row.complete_to,
    text: (row) => (row.complete_to === null ? "–" : ago(now() - row.complete_to)),
    hint: "All that it recorded before is in the answers; – for one that posts JSON, of which nobody knows",
  },
  {
    name: "rate", label: "Events/s", numeric: true, value: (row) => row.rate, text: (row) => number(row.rate),
    hint: "Over the last minute",
  },
  { name: "events", label: "Events", numeric: true, spare: true, value: (row) => row.recorded, text: (row) => number(row.recorded), hint: "Recorded since it is known" },
  { name: "tabs", label: "Tabs", numeric: true, spare: true, value: (row) => row.tabs, text: (row) => (row.tabs === null ? "" : number(row.tabs)), hint: "That it recorded to in the last hour" },
  {
    name: "lost", label: "Lost", numeric: true, value: (row) => row.dropped, hint: "Events dropped, here or on the way",
    draw(cell, row) {
      cell.classList.toggle("bad", row.dropped > 0);
      setText(cell, number(row.dropped));
    },
  },
];

/**
 * @param {HTMLElement} cell
 * @param {import("../clients.js").Client} row
 */
export function drawState(cell, row) {
  const [word, meaning] = STATES[row.state];
  if (cell.dataset.state === row.state) return;
  cell.dataset.state = row.state;
  cell.title = meaning;
  const sign = { current: "good", behind: "fair", silent: "off" }[row.state];
  fill(cell, h("span", { class: "state" }, h("span", { class: "dot", data: { state: sign } }), word));
}

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function openList(root, place) {
  let query = place.query;
  /** @type {import("../clients.js").Client[]} */
  let all = [];
  /** @type {any} */
  let listed = null;
  const tell = (/** @type {Record<string, string>} */ changed) => {
    const fields = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changed)) value ? fields.set(name, value) : fields.delete(name);
    stay(href(["clients"], fields));
  };
  const find = h("input", { type: "search", "aria-label": "Find clients", placeholder: "Find: web-*", value: query.get("find") ?? "" });
  find.addEventListener("input", () => tell({ find: find.value }));
  const chips = h("div", { class: "row chips", role: "group", "aria-label": "Which clients" });
  const trouble = troublePlace();
  const table = new Table({
    caption: "Clients", columns: COLUMNS, key: (row) => row.client, sort: query.get("sort") ?? "client",
    sorted: (sort) => tell({ sort }), nothing: "No client fits.",
  });
  fill(root, h("div", { class: "head-row" }, h("h1", {}, "Clients"), find, chips), trouble, h("div", { class: "panel table-panel" }, table.element));

  const show = () => {
    const found = all.filter((one) => fits(one.client, query.get("find") ?? ""));
    const state = query.get("state") ?? "";
    table.show(found.filter((one) => !state || one.state === state));
    showChips(chips, found, state, (chosen) => tell({ state: chosen }));
  };
  const polling = every(SECONDS, async (signal) => {
    const [ledger, events] = await Promise.all([
      get("ledger", {}, signal),
      get("projections", { tab: "taba.client.events", window: "1m" }, signal),
    ]);
    all = joined(ledger, listed, events, now());
    show();
  }, trouble);
  const counting = every(COUNT_SECONDS, async (signal) => {
    listed = await get("clients", {}, signal);
    all = all.map((one) => ({ ...one, tabs: tabsOf(listed, one.client) }));
    show();
  }, trouble);
  return {
    change(next) {
      query = next.query;
      if (document.activeElement !== find) find.value = query.get("find") ?? "";
      show();
    },
    close() {
      polling.close();
      counting.close();
    },
  };
}

/**
 * How many are in each state, to choose one by.
 * @param {HTMLElement} root
 * @param {import("../clients.js").Client[]} found
 * @param {string} chosen
 * @param {(state: string) => void} choose
 */
function showChips(root, found, chosen, choose) {
  const states = ["", ...Object.keys(STATES)];
  if (!root.firstChild) {
    fill(root, states.map((state) => h("button", { type: "button", onclick: () => choose(state) }, "")));
  }
  states.forEach((state, index) => {
    const button = root.children[index];
    const count = state ? found.filter((one) => one.state === state).length : found.length;
    setText(button, `${number(count)} ${state || "in all"}`);
    button.setAttribute("aria-pressed", String(state === chosen));
  });
}
