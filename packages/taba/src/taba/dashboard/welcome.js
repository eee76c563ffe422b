/**
 * What a newcomer sees where nothing has been recorded yet: three ways to record a first event, each whole, to be copied
 * and run.
 */
import { snippet } from "./copy.js";
import { h } from "./dom.js";

const USUAL = "http://127.0.0.1:8300";

/** @type {[string, string, (server: string) => string][]} */
const WAYS = [
  ["From a shell", "With the command line of Taba.", (server) => `taba record hello 1${server === USUAL ? "" : ` --server ${server}`}`],
  [
    "From Python", "In your program: the client needs the standard library alone, and record() costs some 50 ns.",
    (server) => `import taba\n\ntaba.start(client="my-program", server="${server}")\ntaba.counter("hello").record(1)\ntaba.percentile("work.ms").record(12.5)`,
  ],
  [
    "From anything that speaks HTTP", "Many events go in one request.",
    (server) => `curl ${server}/v1/events -H 'Content-Type: application/json' \\\n  -d '{"client": "me", "events": [{"tab": "hello", "value": 1}]}'`,
  ],
];

/** @returns {HTMLElement} */
export function emptyState() {
  const server = new URL(".", location.href).href.replace(/\/$/, "");
  return h("section", { class: "welcome", "aria-label": "First steps" },
    h("h2", {}, "Nothing has been recorded yet"),
    h("p", { class: "lead" }, "Record an event in whichever way suits you. Its card appears here by itself, a moment later."),
    h("div", { class: "ways" }, WAYS.map(([name, hint, code]) =>
      h("div", { class: "panel pad way" }, h("h3", {}, name), h("p", { class: "muted small" }, hint), snippet(code(server), `the code: ${name.toLowerCase()}`)))),
    h("p", { class: "waiting", role: "status" }, h("span", { class: "pulse", "aria-hidden": "true" }), "Waiting for the first event…"),
    h("p", { class: "muted small" }, "What is recorded goes to a tab: a name, tags if you like, as in orders{shop=berlin}, and a type: counter, percentile, gauge, uniques, top or buffer."));
}
