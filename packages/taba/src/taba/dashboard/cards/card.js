/**
 * A tab as a card: its name, its picture, and its figures over the windows.
 */
import { now } from "../api.js";
import { TabPicture } from "../charts/picture.js";
import { fill, h, setText } from "../dom.js";
import { ago } from "../format.js";
import { baseType } from "../globs.js";
import { isText, kindOf, mainFigure, shown } from "../kinds.js";
import { href } from "../place.js";

export const WINDOWS = ["1m", "10m", "1h", "1d"];
export const HEIGHT = 246;
const PICTURE_HEIGHT = 122;
const ROWS = 5;

export class Card {
  /**
   * @param {import("../globs.js").Tab} tab
   * @param {() => URLSearchParams} query what the link to the tab's page takes with it
   */
  constructor(tab, query) {
    this.tab = tab;
    this.headline = h("span", {});
    this.figure = h("span", { class: "card-of" });
    this.error = h("span", { class: "card-error" });
    this.body = h("div", { class: "card-picture" });
    this.table = h("table", { class: "card-windows" });
    const tags = Object.entries(tab.tags).map(([key, value]) => h("span", { class: "tag" }, h("b", {}, `${key}=`), value));
    this.link = h("a", { href: href(["tab", tab.tab], query()), title: tab.tab }, tab.name);
    this.element = h("li", { class: "card panel", data: { tab: tab.tab } },
      h("div", { class: "card-head" }, h("h2", {}, this.link), h("span", { class: "card-figure" }, this.figure, this.headline)),
      h("div", { class: "card-tags" }, h("span", { class: "badge", data: { type: baseType(tab.type) } }, tab.type), this.error, tags),
      this.body, this.table);
    this.picture = new TabPicture(this.body, tab, { height: PICTURE_HEIGHT, compact: true, most: ROWS });
    this.link.addEventListener("click", () => (this.link.href = href(["tab", tab.tab], query())));
    /** @type {HTMLElement[][] | null} */
    this.cells = null;
  }

  close() {
    this.picture.close();
  }

  /** @param {import("../charts/lines.js").Series} series */
  showSeries(series) {
    if (this.picture.overTime) this.picture.showSeries(series);
  }

  /** @param {Record<string, any> | undefined} windows answers by window; undefined: nothing was recorded in any */
  showWindows(windows) {
    const newest = windows?.["1m"] ?? null;
    const latest = newest && Object.values(windows ?? {}).find((answer) => answer.count || answer.clients || answer.uniques);
    // The last values are the last whenever they were; what is frequent is so over ten minutes.
    if (!this.picture.overTime) this.picture.showAnswer(windows?.[baseType(this.tab.type) === "buffer" ? "1d" : "10m"]);
    const text = isText(latest) || (!newest?.clients && isText(windows?.["1d"]));
    this.showHeadline(windows ?? {}, text);
    this.showTable(windows ?? {}, text);
  }

  /**
   * @param {Record<string, any>} windows
   * @param {boolean} text
   */
  showHeadline(windows, text) {
    const { tab, type } = this.tab;
    const answer = windows["1m"] ?? null;
    setText(this.figure, NAMED.has(baseType(type)) && !text ? mainFigure(type, answer) : "");
    const name = mainFigure(type, answer);
    if (baseType(type) === "buffer") {
      const last = windows["1d"]?.values[0]?.time;
      setText(this.headline, last ? ago(Math.max(now() - last, 0)) : "–");
      this.headline.title = "when the last value was recorded";
    } else {
      setText(this.headline, text ? (answer?.values[0]?.value ?? "–") : shown(tab, name, answer?.[name]));
      this.headline.title = text ? "what most clients hold now" : `${name} over the last minute`;
    }
    setText(this.error, answer ? kindOf(type, answer).error(answer) : "");
  }

  /**
   * @param {Record<string, any>} windows
   * @param {boolean} text
   */
  showTable(windows, text) {
    const { tab, type } = this.tab;
    const sample = Object.values(windows)[0] ?? null;
    const figures = text ? TEXT_FIGURES : kindOf(type, sample).figures;
    if (!this.cells || this.cells.length !== figures.length || this.ofTexts !== text) this.makeTable(figures, text);
    figures.forEach((figure, row) => {
      WINDOWS.forEach((window, at) => {
        const answer = windows[window];
        const told = text && figure.name === "values" ? String(answer?.values.length ?? "–") : shown(tab, figure.name, answer?.[figure.name]);
        const cell = this.cells?.[row][at];
        if (cell) setText(cell, told);
      });
    });
  }

  /**
   * @param {import("../kinds.js").Figure[]} figures
   * @param {boolean} text
   */
  makeTable(figures, text) {
    this.ofTexts = text;
    this.cells = figures.map(() => WINDOWS.map(() => h("td", { class: "number" })));
    const head = h("tr", {}, h("th", { scope: "col" }, h("span", { class: "unseen" }, "over")), WINDOWS.map((window) => h("th", { scope: "col", class: "number" }, window)));
    const rows = figures.map((figure, row) => h("tr", {}, h("th", { scope: "row" }, figure.label), this.cells?.[row]));
    fill(this.table, h("thead", {}, head), h("tbody", {}, rows));
  }
}

/** Types whose large figure needs its name beside it. */
const NAMED = new Set(["percentile", "gauge"]);
const TEXT_FIGURES = [
  { label: "values", name: "values" },
  { label: "clients", name: "clients", unit: "" },
];
