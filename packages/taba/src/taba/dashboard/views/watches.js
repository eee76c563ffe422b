/**
 * The page "Watches": the rules of the configuration, which of them fire, and what was told of it; and a rule to try.
 */
import { get, now } from "../api.js";
import { snippet } from "../copy.js";
import { fill, h, setText } from "../dom.js";
import { ago, clock, number, roughly } from "../format.js";
import { href, stay } from "../place.js";
import { every, troublePlace } from "../polling.js";

export const title = "Watches";

const SECONDS = 2;
const SHOWN = 12;
const EXAMPLE = `[[watches]]
name = "slow checkout"
rule = "p99(checkout.ms) > 200 for 1m"
webhook = "http://10.0.0.7/alarm"

[[watches]]
name = "a web server is away"
rule = "absent(client web-*) for 30s"
command = ["/usr/local/bin/tell", "the team"]`;

/** Signs and words of the states. @type {Record<string, [string, string]>} */
const STATES = {
  firing: ["bad", "firing"],
  pending: ["fair", "pending"],
  unknown: ["off", "unknown"],
  ok: ["good", "ok"],
};

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function open(root, place) {
  let query = place.query;
  const trouble = troublePlace();
  const lead = h("p", { class: "lead", role: "status" }, "\u00a0");
  const list = h("div", { class: "watches" });
  const tried = h("div", {});
  const rule = h("input", {
    type: "text", id: "rule", spellcheck: "false", class: "mono", placeholder: "p99(checkout.ms) > 200 for 1m",
    value: query.get("rule") ?? "", autocomplete: "off",
  });
  const form = h("form", { class: "try", onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    stay(href(["watches"], { rule: rule.value.trim() }));
  } }, h("label", { for: "rule" }, "Try a rule"), rule, h("button", { type: "submit" }, "Try"));
  fill(root, h("h1", {}, title), lead, trouble, list, h("section", { class: "panel pad" }, form, tried));

  const polling = every(SECONDS, async (signal) => {
    const found = await get("watches", {}, signal);
    setText(lead, told(found));
    showList(list, found);
  }, trouble);
  const trying = every(SECONDS, async (signal) => {
    const wanted = query.get("rule");
    if (!wanted) return fill(tried);
    try {
      const found = await get("watches", { rule: wanted }, signal);
      showTried(tried, found);
    } catch (error) {
      if (!signal.aborted) fill(tried, h("p", { class: "problem" }, /** @type {Error} */ (error).message));
    }
  }, h("div"));
  return {
    change(next) {
      query = next.query;
      trying.again();
    },
    close() {
      polling.close();
      trying.close();
    },
  };
}

/** @param {any} found */
function told(found) {
  if (found.error) return found.error;
  const count = found.watches.length;
  if (!count) return "There are no watches yet.";
  const all = count === 1 ? "One watch" : `${number(count)} watches`;
  const fires = found.firing ? `${number(found.firing)} firing` : "none firing";
  const looked = found.looked === null ? "not looked at yet" : `looked at ${ago(now() - found.looked)}`;
  const part = found.complete === false ? "; not all clients are in it" : "";
  return `${all}, ${fires}; ${looked}, every ${roughly(found.every)}${part}.`;
}

/**
 * @param {HTMLElement} root
 * @param {any} found
 */
function showList(root, found) {
  if (!found.watches.length) {
    if (root.dataset.shown !== "none") {
      fill(root, h("div", { class: "panel pad grid" },
        h("p", {}, "A watch is a rule over answers. When it begins to hold, and when that is over, a webhook or a command is told, once. Add some to the configuration file:"),
        snippet(EXAMPLE, "the example")));
    }
    root.dataset.shown = "none";
    return;
  }
  delete root.dataset.shown;
  const worst = ["firing", "pending", "unknown", "ok"];
  const sorted = [...found.watches].sort((one, other) => worst.indexOf(one.state) - worst.indexOf(other.state));
  fill(root, sorted.map(card));
}

/** @param {any} watch */
function card(watch) {
  return h("article", { class: `panel pad watch ${watch.state}`, "aria-label": watch.watch },
    h("div", { class: "head-row" }, h("h2", {}, watch.watch), badge(watch.state),
      h("span", { class: "muted small" }, `since ${clock(watch.since)}, ${roughly(Math.max(now() - watch.since, 0))}`)),
    h("p", { class: "mono rule" }, watch.rule),
    instances(watch),
    actions(watch));
}

/** @param {string} state */
function badge(state) {
  const [sign, word] = STATES[state] ?? ["off", state];
  return h("span", { class: `state badge-state ${sign}` }, h("span", { class: "dot", data: { state: sign } }), word);
}

/** @param {any} watch */
function instances(watch) {
  const told = watch.instances.filter((/** @type {any} */ one) => one.state !== "ok" || watch.instances.length === 1);
  const well = watch.states.ok;
  const rest = told.length - SHOWN;
  const rows = told.slice(0, SHOWN).map((/** @type {any} */ one) =>
    h("tr", {},
      h("td", {}, one.tab ? h("a", { href: href(["tab", one.tab], { client: one.client }) }, one.instance)
        : one.client ? h("a", { href: href(["clients", one.client]) }, one.instance) : one.instance),
      h("td", {}, badge(one.state)),
      h("td", { class: "number" }, value(watch, one)),
      h("td", { class: "muted spare" }, one.reason ?? (one.since === null ? "" : `since ${clock(one.since)}`))));
  const head = h("tr", {}, ["What", "State", "Value"].map((text, index) => h("th", { scope: "col", class: index === 2 ? "number" : null }, text)), h("th", { scope: "col", class: "spare" }, "Why"));
  const summary = [
    well && watch.instances_total > 1 ? `${number(well)} ok` : "",
    rest > 0 ? `${number(rest)} more are not` : "",
  ].filter(Boolean).join("; ");
  return [
    rows.length ? h("div", { class: "scroll" }, h("table", {}, h("caption", { class: "unseen" }, `What ${watch.watch} looks at`), h("thead", {}, head), h("tbody", {}, rows))) : null,
    summary ? h("p", { class: "muted small" }, summary) : null,
  ];
}

/** @param {any} watch @param {any} one */
function value(watch, one) {
  if (one.value === null) return "–";
  if (watch.limit === null) return `${roughly(one.value)} ago`;
  return `${number(one.value)} ${watch.comparison} ${number(watch.limit)}`;
}

/** @param {any} watch */
function actions(watch) {
  if (!watch.actions.length) return h("p", { class: "muted small" }, "Nobody is told: it has neither webhook nor command.");
  const targets = watch.actions.map((/** @type {any} */ one) => `${one.action} ${one.to}`).join(", ");
  const last = watch.last_actions.slice(0, 3).map((/** @type {any} */ one) => {
    const state = one.outcome === "done" ? "good" : one.outcome === "running" ? "" : "bad";
    return h("li", {}, h("span", { class: state }, one.outcome), ` ${one.action} told of “${one.event}” at ${clock(one.time)}: ${one.detail}`);
  });
  return h("div", { class: "small told" }, h("p", { class: "muted" }, `Tells ${targets}`), last.length ? h("ul", {}, last) : null);
}

/**
 * @param {HTMLElement} root
 * @param {any} found
 */
function showTried(root, found) {
  const watch = found.watches[0];
  fill(root, h("p", { class: "muted small" }, "How a watch with this rule would begin:"),
    ...(watch ? [h("p", { class: "mono rule" }, watch.rule), h("p", {}, badge(watch.state)), ...instances({ ...watch, watch: "the rule" })] : []));
}
