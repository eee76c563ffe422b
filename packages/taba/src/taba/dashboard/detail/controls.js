/**
 * What of a tab is shown: the time, the figure, the groups, the time before, and which tabs share the chart.
 */
import { now } from "../api.js";
import { searchField } from "../cards/search.js";
import * as catalogue from "../catalogue.js";
import { fill, h } from "../dom.js";
import { split } from "../globs.js";
import { kindOf, labelOf } from "../kinds.js";
import { go } from "../place.js";
import { BEFORE, DEFAULT_RANGE, ends, localInput, PRESETS } from "../ranges.js";
import { changed } from "./asked.js";

/**
 * @param {HTMLElement} root
 * @param {import("./asked.js").Asked} asked
 * @param {string} type
 * @param {Record<string, any> | null} sample
 */
export function drawControls(root, asked, type, sample) {
  fill(root,
    ranges(asked),
    custom(asked),
    choose("Figure", figures(type, sample), asked.figure ?? "", (figure) => go(changed(asked, { figure: figure || null }))),
    choose("Compare with", comparisons(), asked.before ?? "", (before) => go(changed(asked, { before: before || null }))),
    groups(asked),
    asked.by === null && adding(asked),
    asked.client !== null && h("a", { class: "button chip", href: changed(asked, { client: null }), title: "show all clients again" }, `client ${asked.client}`, h("span", { "aria-hidden": "true" }, "✕")));
}

/** @param {import("./asked.js").Asked} asked */
function ranges(asked) {
  const chosen = asked.range.name;
  const buttons = PRESETS.map((range) =>
    h("button", {
      type: "button", "aria-pressed": String(range === chosen),
      onclick: () => go(changed(asked, { range: range === DEFAULT_RANGE ? null : range, from: null, to: null })),
    }, range));
  return h("div", { class: "segments", role: "group", "aria-label": "Time" }, buttons);
}

/** A time from and a time to, written out. @param {import("./asked.js").Asked} asked */
function custom(asked) {
  const { from, to } = ends(asked.range, now());
  const first = h("input", { type: "datetime-local", step: 1, value: localInput(from), "aria-label": "From" });
  const last = h("input", { type: "datetime-local", step: 1, value: localInput(to), "aria-label": "To" });
  const told = h("span", { class: "bad small", role: "alert" });
  const apply = () => {
    const [start, stop] = [first, last].map((input) => new Date(input.value).getTime() / 1000);
    if (!(start < stop)) told.textContent = "From must be before to.";
    else go(changed(asked, { from: String(start), to: String(stop) }));
  };
  const live = asked.range.name === null && h("a", { class: "button", href: changed(asked, { from: null, to: null }) }, "Back to live");
  const summary = h("summary", { class: `button ${asked.range.name === null ? "chosen" : ""}` }, "From – to");
  const popover = h("details", { class: "popover" }, summary,
    h("div", { class: "panel" }, h("label", {}, "From", first), h("label", {}, "To", last), told, h("button", { type: "button", class: "strong", onclick: apply }, "Show")));
  popover.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    popover.open = false;
    summary.focus();
  });
  return h("div", { class: "row tight" }, popover, live);
}

/**
 * @param {string} type
 * @param {Record<string, any> | null} sample
 * @returns {[string, string][]}
 */
function figures(type, sample) {
  const { choices, usual } = kindOf(type, sample);
  const others = choices.filter((name) => labelOf(name) !== usual);
  return [["", usual], ...others.map((name) => /** @type {[string, string]} */ ([name, labelOf(name)]))];
}

/** @returns {[string, string][]} */
function comparisons() {
  return [["", "nothing"], ...Object.entries(BEFORE).map(([name, { label }]) => /** @type {[string, string]} */ ([name, label]))];
}

/** The tags by which the tabs of this name can be grouped. @param {import("./asked.js").Asked} asked */
function groups(asked) {
  const { name, tags } = split(asked.tab);
  const keys = new Set(Object.keys(tags));
  for (const tab of catalogue.held().tabs) if (tab.name === name) Object.keys(tab.tags).forEach((key) => keys.add(key));
  if (asked.by) keys.add(asked.by);
  if (!keys.size) return null;
  const choices = [["-", "this tab alone"], ["", `all of ${name} in one`], ...[...keys].sort().map((key) => [key, key])];
  return choose("Group by", /** @type {[string, string][]} */ (choices), asked.by ?? "-", (by) => go(changed(asked, { by: by === "-" ? null : by, tab: null })));
}

/** A field that puts another tab on the chart. @param {import("./asked.js").Asked} asked */
function adding(asked) {
  const add = (/** @type {string} */ text) => {
    const found = catalogue.held().tabs.find((tab) => tab.tab === text.trim());
    if (found && found.tab !== asked.tab && !asked.also.includes(found.tab)) go(changed(asked, { tab: [...asked.also, found.tab] }));
  };
  const { element } = searchField({ label: "Add a tab to the chart", tabs: () => catalogue.held().tabs, typed: add, chosen: add, whole: true });
  element.classList.add("adding");
  return element;
}

/**
 * @param {string} label
 * @param {[string, string][]} choices value and text
 * @param {string} chosen
 * @param {(value: string) => void} take
 */
function choose(label, choices, chosen, take) {
  const select = h("select", { onchange: (/** @type {Event} */ event) => take(/** @type {HTMLSelectElement} */ (event.target).value) },
    choices.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  return h("label", { class: "choice" }, h("span", {}, label), select);
}

