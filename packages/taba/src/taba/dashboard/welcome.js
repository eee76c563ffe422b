/**
 * What a newcomer sees where nothing has been recorded yet: what to do.
 */
import { h } from "./dom.js";

/** @returns {HTMLElement} */
export function emptyState() {
  const server = location.origin;
  return h("section", { class: "empty" },
    h("h2", {}, "Nothing has been recorded yet"),
    h("p", {}, "Record a first event, and it is here within a second:"),
    h("pre", { class: "panel code" }, "taba record hello 1"),
    h("p", {}, "or from a program:"),
    h("pre", { class: "panel code" }, 'import taba\n\ntaba.record("hello", 1)'),
    h("p", {}, "or from anything that speaks HTTP:"),
    h("pre", { class: "panel code" }, `curl ${server}/v1/events -H 'Content-Type: application/json' \\\n  -d '{"client": "me", "events": [{"tab": "hello", "value": 1}]}'`));
}
