/**
 * The page "Ledger": what became of every event. Calm where nothing is lost; else where, why and how many.
 */
import { get, now } from "../api.js";
import { fits, joined } from "../clients.js";
import { fill, h, setText } from "../dom.js";
import { ago, clock, many, number } from "../format.js";
import { equation, showReasons } from "../losses.js";
import { href, stay } from "../place.js";
import { every, troublePlace } from "../polling.js";
import { Table, link } from "../table.js";

export const title = "Ledger";

const SECONDS = 3;
const LATE_WINDOW = "1h";

/** @param {string} name @param {string} label @param {string} state @param {string} hint @param {boolean} [spare] @returns {import("../table.js").Column} */
function count(name, label, state, hint, spare = false) {
  return {
    name, label, numeric: true, hint, spare, value: (row) => row[name],
    draw(cell, row) {
      if (state) cell.classList.toggle(state, row[name] > 0);
      cell.title = row[name].toLocaleString("en");
      setText(cell, number(row[name]));
    },
  };
}

/** @type {import("../table.js").Column[]} */
const COLUMNS = [
  { name: "client", label: "Client", value: (row) => row.client, draw: (cell, row) => link(cell, row.client, href(["clients", row.client])) },
  count("recorded", "Recorded", "", "As the client's frames say"),
  count("folded", "Folded", "", "In the store: they are in the answers", true),
  count("dropped", "Dropped", "bad", "Lost: refused by the server, or given up on the way to it"),
  count("in_flight", "In flight", "fair", "In frames that are missing: younger ones are here already"),
  count("late", "Late", "", `Older than 10 s when they came, in the last ${LATE_WINDOW}; they are in the answers`, true),
  {
    name: "heard", label: "Last heard", numeric: true, spare: true, value: (row) => row.heard,
    text: (row) => ago(now() - row.heard),
  },
];

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function open(root, place) {
  let query = place.query;
  const trouble = troublePlace();
  const calm = h("div", { class: "panel calm", hidden: true });
  const sums = h("div", { class: "panel pad" });
  const reasons = h("section", { class: "panel pad", hidden: true, "aria-label": "Dropped, by reason" });
  const warnings = h("section", { class: "warnings", hidden: true, "aria-label": "Warnings" });
  const late = h("p", { class: "muted" });
  const find = h("input", { type: "search", "aria-label": "Find clients", placeholder: "Find: web-*", value: query.get("find") ?? "" });
  const tell = (/** @type {string} */ name, /** @type {string} */ value) => {
    const fields = new URLSearchParams(query);
    if (value) fields.set(name, value);
    else fields.delete(name);
    stay(href(["ledger"], fields));
  };
  find.addEventListener("input", () => tell("find", find.value));
  const table = new Table({
    caption: "What became of each client's events", columns: COLUMNS, key: (row) => row.client,
    sort: query.get("sort") ?? "dropped", sorted: (sort) => tell("sort", sort), nothing: "No client fits.",
  });
  fill(root, h("h1", {}, title), trouble, calm, sums, warnings, reasons, late,
    h("div", { class: "head-row" }, h("h2", {}, "By client"), find),
    h("div", { class: "panel table-panel" }, table.element));

  /** @type {any[]} */
  let rows = [];
  const show = () => table.show(rows.filter((row) => fits(row.client, query.get("find") ?? "")));
  const polling = every(SECONDS, async (signal) => {
    const [ledger, lates] = await Promise.all([
      get("ledger", {}, signal),
      get("projections", { tab: "taba.client.late", window: LATE_WINDOW }, signal),
    ]);
    const byClient = lates.tabs["taba.client.late"] ?? {};
    rows = joined(ledger, null, { tabs: {} }, now())
      .map((row) => ({ ...row, late: byClient[row.client]?.[LATE_WINDOW]?.total ?? 0 }));
    showSums({ calm, sums, reasons, warnings, late }, ledger, rows);
    show();
  }, trouble);
  return {
    change(next) {
      query = next.query;
      show();
    },
    close: polling.close,
  };
}

/**
 * @param {Record<"calm" | "sums" | "reasons" | "warnings" | "late", HTMLElement>} places
 * @param {any} ledger
 * @param {any[]} rows
 */
function showSums({ calm, sums, reasons, warnings, late }, ledger, rows) {
  const { total } = ledger;
  const dropped = rows.reduce((all, row) => all + row.dropped, 0);
  fill(sums, equation({ ...total, dropped }));
  calm.hidden = dropped > 0 || total.in_flight > 0 || ledger.warnings.length > 0;
  if (!calm.hidden) {
    const told = total.recorded ? `Every one of the ${number(total.recorded)} events recorded is in the answers.` : "Nothing has been recorded yet.";
    fill(calm, h("span", { class: "tick", "aria-hidden": "true" }, "✓"), h("div", {}, h("strong", {}, "Nothing is lost"), h("p", { class: "muted" }, told)));
  }
  reasons.hidden = dropped === 0;
  if (dropped) {
    const list = h("div", {});
    showReasons(list, total.dropped);
    fill(reasons, h("h2", {}, "Dropped, by reason"), list);
  }
  warnings.hidden = ledger.warnings.length === 0;
  fill(warnings, ledger.warnings.map((/** @type {string} */ text) => h("p", { class: "warning" }, text)));
  const came = rows.reduce((all, row) => all + row.late, 0);
  const since = rows.map((row) => row.in_flight_since).filter((time) => time !== null);
  const waiting = since.length ? ` What is in flight was recorded from ${clock(Math.min(...since))} on.` : "";
  setText(late, (came
    ? `${many(came, "event")} came late in the last hour: older than 10 s on arrival. What is late is in the answers, in its own time.`
    : "No event came late in the last hour.") + waiting);
}
