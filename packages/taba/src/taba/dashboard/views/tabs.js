/**
 * The first page: all tabs as cards, found by what is typed.
 */
import { Card, HEIGHT } from "../cards/card.js";
import { Feed } from "../cards/feed.js";
import { Grid } from "../cards/grid.js";
import { searchField } from "../cards/search.js";
import * as catalogue from "../catalogue.js";
import { fill, h, setText, settled } from "../dom.js";
import { many, number } from "../format.js";
import { finder } from "../globs.js";
import { emptyState } from "../welcome.js";
import { href, stay } from "../place.js";
import { duration } from "../ranges.js";

export const title = "Tabs";

const RANGES = ["5m", "10m", "1h", "6h", "1d"];
const DEFAULT = "10m";
const SETTLE_MS = 120;

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function open(root, place) {
  return new TabsPage(root, place);
}

class TabsPage {
  /**
   * @param {HTMLElement} root
   * @param {import("../place.js").Place} place
   */
  constructor(root, place) {
    this.query = place.query;
    /** @type {import("../catalogue.js").List} */
    this.list = catalogue.held();
    /** @type {Map<string, Card>} */
    this.cards = new Map();
    this.search = searchField({
      label: "Search: request.* {route=pay} type:percentile",
      value: this.query.get("q") ?? "",
      tabs: () => this.list.tabs,
      typed: (text) => this.say({ q: text }),
    });
    this.told = h("p", { class: "muted small", role: "status" });
    this.ranges = h("div", { class: "segments", role: "group", "aria-label": "Time that the charts show" });
    this.problem = h("div", {});
    this.cells = h("ul", { class: "cards", "aria-label": "Tabs" });
    fill(root,
      h("h1", { class: "unseen" }, "Tabs"),
      h("div", { class: "toolbar" }, this.search.element, this.ranges, this.told), this.problem, this.cells);
    this.feed = new Feed((error) => this.fail(error));
    this.ask = settled(() => this.feed.ask(new Map(this.cards), this.span), SETTLE_MS);
    this.grid = new Grid(this.cells, {
      height: HEIGHT, width: 320, gap: 12,
      make: (tab) => this.make(tab),
      changed: () => this.seen(),
    });
    this.first = true;
    this.slash = (/** @type {KeyboardEvent} */ event) => this.key(event);
    document.addEventListener("keydown", this.slash);
    this.showRanges();
    if (this.list.tabs.length) this.filter();
    this.end = catalogue.follow((list) => this.took(list), (error) => this.fail(error));
  }

  close() {
    this.end();
    this.ask.cancel();
    this.feed.close();
    this.grid.close();
    document.removeEventListener("keydown", this.slash);
  }

  /** @param {import("../place.js").Place} place */
  change(place) {
    const range = this.query.get("range");
    this.query = place.query;
    const text = this.query.get("q") ?? "";
    if (this.search.input.value !== text) this.search.input.value = text;
    this.filter();
    if (range !== this.query.get("range")) {
      this.showRanges();
      this.feed.ask(new Map(this.cards), this.span);
    }
  }

  get span() {
    return duration(this.query.get("range") ?? DEFAULT) ?? 600;
  }

  /** Change the address. @param {Record<string, string>} fields "" leaves a field out */
  say(fields) {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(fields)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    stay(href([], query));
  }

  /** @param {import("../catalogue.js").List} list */
  took(list) {
    this.list = list;
    this.filter();
  }

  async filter() {
    const typed = (this.query.get("q") ?? "").trim();
    const list = await this.searched(typed);
    if (typed !== (this.query.get("q") ?? "").trim()) return;
    const found = typed ? list.tabs.filter(finder(typed)) : list.tabs;
    this.tell(found.length, list);
    this.grid.show(found);
    if (!list.matched && !typed) this.showWelcome();
    else if (!found.length) fill(this.problem, h("div", { class: "empty" }, h("p", {}, "No tab fits what you typed."), h("p", { class: "small" }, "A word finds tabs that have it anywhere; * stands for any characters; {key=value} wants a tag.")));
    else fill(this.problem);
  }

  /** Made once: what is read, selected or copied from it must not be taken away. */
  showWelcome() {
    this.welcome ??= emptyState();
    if (this.welcome.parentElement !== this.problem) fill(this.problem, this.welcome);
  }

  /**
   * What is searched: the list that is held, or, for Taba's own tabs and those beyond the list, what the server finds.
   * @param {string} typed
   */
  async searched(typed) {
    const own = typed.startsWith("taba.");
    if (!own && (!typed || this.list.matched <= this.list.tabs.length)) return this.list;
    const name = typed.split(/[\s{]/)[0];
    try {
      return await catalogue.fetched(own ? "taba.*" : /[*?[]/.test(name) ? name : `*${name}*`);
    } catch {
      return { tabs: [], matched: 0 };
    }
  }

  /**
   * @param {number} found
   * @param {import("../catalogue.js").List} list
   */
  tell(found, list) {
    const bounded = list.matched > list.tabs.length;
    const all = many(found, "tab");
    setText(this.told, bounded ? `${all} of the first ${number(list.tabs.length)}; there are ${number(list.matched)}: type more to find others` : found === this.list.tabs.length ? all : `${all} of ${number(this.list.tabs.length)}`);
  }

  /** @param {import("../globs.js").Tab} tab */
  make(tab) {
    const card = new Card(tab, () => this.linked());
    this.cards.set(tab.tab, card);
    return {
      element: card.element,
      close: () => {
        card.close();
        this.cards.delete(tab.tab);
      },
    };
  }

  /** What a tab's page takes over: the range. */
  linked() {
    const range = this.query.get("range");
    return new URLSearchParams(range ? { range } : {});
  }

  seen() {
    if (!this.first) return this.ask();
    this.first = false;
    this.feed.ask(new Map(this.cards), this.span);
  }

  showRanges() {
    const chosen = this.query.get("range") ?? DEFAULT;
    fill(this.ranges, RANGES.map((range) =>
      h("button", { type: "button", "aria-pressed": String(range === chosen), onclick: () => this.say({ range: range === DEFAULT ? "" : range }) }, range)));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.search.input.focus();
    this.search.input.select();
  }

  /** @param {Error} error */
  fail(error) {
    fill(this.problem, h("p", { class: "problem", role: "alert" }, error.message));
  }
}
