/**
 * What a newcomer sees while nothing has been recorded yet: three ways to record the first event, and a sign that the
 * page is waiting for it.
 */
import { get } from "./api.js";
import { snippet } from "./copy.js";
import { h, setText } from "./dom.js";

const LOOK_MS = 1000;

/** Ways to record an event, each whole: to be pasted and run. @type {[string, string, (server: string) => string][]} */
export const WAYS = [
  ["From a shell", "with the command `taba`", (server) => `taba record hello 1${server ? ` --server ${server}` : ""}`],
  [
    "From Python", "in your program; the client needs nothing but the standard library",
    (server) => `import taba\n\ntaba.start(client="my-program", server="${server || "http://127.0.0.1:8300"}")\ntaba.counter("hello").record(1)\ntaba.percentile("work.ms").record(12.5)`,
  ],
  [
    "From anything else", "over HTTP",
    (server) => `curl ${server || "http://127.0.0.1:8300"}/v1/events -H 'Content-Type: application/json' \\\n  -d '{"client": "me", "events": [{"tab": "hello", "value": 1}]}'`,
  ],
];
const USUAL = "http://127.0.0.1:8300";

/**
 * @param {{arrived?: () => void}} [reader] `arrived` is called once, when the first event is there
 * @returns {{element: HTMLElement, close: () => void}}
 */
export function emptyState({ arrived } = {}) {
  const server = new URL(".", location.href).href.replace(/\/$/, "");
  const named = server === USUAL ? "" : server;
  const waiting = h("p", { class: "waiting", role: "status" }, h("span", { class: "pulse", "aria-hidden": "true" }), h("span", {}, "Waiting for the first event…"));
  const element = h("section", { class: "welcome" },
    h("h1", {}, "Nothing has been recorded yet"),
    h("p", { class: "lead" }, "Record an event, in whichever way suits you; its card appears here a moment later."),
    h("div", { class: "ways" }, WAYS.map(([name, hint, code]) =>
      h("div", { class: "panel pad way" }, h("h2", {}, name), h("p", { class: "muted small" }, hint), snippet(code(named), name.toLowerCase())))),
    waiting,
    h("p", { class: "muted small" }, "A tab is one kind of event: a name, tags if you like (orders{shop=berlin}), and a type: counter, percentile, gauge, uniques, top or buffer."));
  let timer = 0;
  let closed = false;
  const look = async () => {
    const found = await get("tabs", { brief: "true", limit: 1 }).catch(() => null);
    if (closed) return;
    if (found?.tabs.length) {
      setText(/** @type {Element} */ (waiting.lastElementChild), "The first event is here.");
      arrived?.();
      return;
    }
    timer = window.setTimeout(look, LOOK_MS);
  };
  if (arrived) look();
  return {
    element,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
