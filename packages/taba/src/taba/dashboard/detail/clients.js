/**
 * The clients of a tab: a line and a figure each, those first that stand out from the others.
 */
import { get, now } from "../api.js";
import { typeColour } from "../charts/colours.js";
import { column, reach, times } from "../charts/columns.js";
import { spark } from "../charts/spark.js";
import { fill, h } from "../dom.js";
import { MINUS, number } from "../format.js";
import { baseType } from "../globs.js";
import { isText, kindOf, labelOf, mainFigure, shown } from "../kinds.js";
import { every, troublePlace } from "../polling.js";
import { LEAST, OUTLIER, rarity, scores } from "../outliers.js";
import { changed, ofClients } from "./asked.js";

const FIRST = 15;
const REFRESH_SECONDS = 5;
const EXPLAINED =
  "How far a client's figure is from the median of all clients, in robust standard deviations: the median absolute " +
  `deviation times 1.4826. From ${OUTLIER} on it is called an outlier. Of texts: how rare a client's is.`;

export class Clients {
  /**
   * @param {HTMLElement} root
   * @param {import("./asked.js").Asked} asked
   * @param {string} type
   */
  constructor(root, asked, type) {
    this.root = root;
    this.asked = asked;
    this.type = type;
    const alone = asked.by === null && !asked.also.length;
    this.title = alone ? "Clients" : `Clients of ${asked.tab}`;
    this.all = false;
    this.figure = "";
    this.waiting = false;
    /** The newest answers. @type {any} */
    this.found = null;
    this.trouble = troublePlace();
    this.table = h("div", {});
    fill(root, this.trouble, this.table);
    const seconds = asked.range.name === null ? null : REFRESH_SECONDS;
    this.polling = every(seconds, (signal) => this.look(signal), this.trouble);
  }

  close() {
    this.polling.close();
  }

  /** @param {AbortSignal} signal */
  async look(signal) {
    const asked = ofClients(this.asked, now());
    const [series, figures] = await Promise.all([get("series", asked.series, signal), get("projections", asked.figures, signal)]);
    this.found = { series, figures };
    this.draw();
  }

  draw() {
    if (!this.found || this.table.contains(document.activeElement)) return this.later();
    const rows = this.rows();
    if (!rows.length) {
      fill(this.table, h("h2", {}, this.title), h("p", { class: "muted" }, "No client recorded to it in this time. Clients are told apart for two days, by default."));
      return;
    }
    const listed = this.all ? rows : rows.slice(0, FIRST);
    const { series } = this.found;
    const axis = times(series.from, series.to, series.step);
    const lines = listed.map((row) => this.line(row, axis));
    const span = reach(lines);
    const head = h("tr", {}, h("th", { scope: "col" }, "client"), !rows[0].texts && h("th", { scope: "col" }, "over this time"),
      h("th", { scope: "col", class: rows[0].texts ? "" : "number" }, labelOf(this.figure)), h("th", { scope: "col", class: "number", title: EXPLAINED }, h("span", { class: "hint" }, "stands out")));
    const body = listed.map((row, index) => this.row(row, lines[index], span));
    fill(this.table,
      h("div", { class: "row" }, h("h2", {}, this.title), h("span", { class: "muted small" }, `${number(rows.length)}, those first that stand out by ${labelOf(this.figure)}`)),
      h("div", { class: "scroll" }, h("table", { class: "clients" }, h("thead", {}, head), h("tbody", {}, body))),
      rows.length > FIRST && h("button", { type: "button", class: "quiet", onclick: () => this.toggle() }, this.all ? "Show fewer" : `Show all ${number(rows.length)}`),
      h("p", { class: "muted small explained" }, EXPLAINED));
  }

  /** A table that is being used with the keyboard is not replaced under the hands. */
  later() {
    if (!this.found || this.waiting) return;
    this.waiting = true;
    this.table.addEventListener("focusout", () => setTimeout(() => {
      this.waiting = false;
      this.draw();
    }), { once: true });
  }

  toggle() {
    this.all = !this.all;
    /** @type {HTMLElement} */ (document.activeElement).blur();
    this.draw();
  }

  /** Each client with its figure and score, those first that stand out. */
  rows() {
    const { series, figures } = this.found;
    const answers = figures.tabs[this.asked.tab] ?? {};
    const names = Object.keys(answers);
    const found = names.map((name) => /** @type {any} */ (Object.values(answers[name])[0]));
    const sample = found[0] ?? null;
    this.figure = mainFigure(this.type, sample, kindOf(this.type, sample).choices.includes(this.asked.figure ?? "") ? this.asked.figure : null);
    if (sample && "value" in sample) this.figure = "value";
    const texts = isText(sample);
    const values = found.map((answer) => answer?.[this.figure] ?? null);
    const all = texts ? rarity(values) : scores(values);
    const rows = names.map((client, index) => ({
      client, value: values[index], score: all[index], texts, points: series.tabs[this.asked.tab]?.[client] ?? [],
    }));
    return rows.sort((a, b) => Math.abs(b.score ?? 0) - Math.abs(a.score ?? 0) || (a.client < b.client ? -1 : 1));
  }

  /**
   * @param {any} row
   * @param {number[]} axis
   */
  line(row, axis) {
    const sample = row.points.at(-1) ?? null;
    const kind = kindOf(this.type, sample);
    const figure = this.figure === "value" ? null : this.figure;
    const line = kind.lines(figure === "uniques" ? null : figure, sample)[0];
    const { series } = this.found;
    return line ? column(axis, series.step, row.points, line, { zero: kind.zero, until: Math.min(series.to, series.complete_to) }) : [];
  }

  /**
   * @param {any} row
   * @param {import("../charts/columns.js").Column} line
   * @param {[number, number]} span
   */
  row(row, line, span) {
    const text = row.texts || typeof row.value === "string";
    const chosen = this.asked.client === row.client;
    const to = changed(this.asked, { client: chosen ? null : row.client });
    return h("tr", { "aria-selected": chosen ? "true" : null },
      h("td", {}, h("a", { href: to, title: chosen ? "show all clients again" : "show this client alone" }, row.client)),
      !text && h("td", {}, spark(line, span, typeColour(baseType(this.type)))),
      h("td", { class: text ? "mono" : "number" }, text ? String(row.value) : shown(this.asked.tab, this.figure, row.value)),
      h("td", { class: "number", title: EXPLAINED }, scoreText(row)));
  }
}

/** @param {any} row */
function scoreText({ score, texts }) {
  if (score === null) return h("span", { class: "muted", title: `at least ${LEAST} clients are needed` }, "–");
  if (texts) return score >= 0.5 ? h("span", { class: "badge out" }, "rare") : "";
  const text = `${score < 0 ? MINUS : "+"}${Math.abs(score).toFixed(1)}`;
  return Math.abs(score) >= OUTLIER ? h("span", { class: "badge out" }, text) : h("span", { class: "muted" }, text);
}
