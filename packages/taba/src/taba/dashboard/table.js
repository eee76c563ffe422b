/**
 * A table that is sorted by its heads and shown anew without losing its place: a row that stays keeps its elements, so
 * that what has the focus, or is being selected, is not taken away every few seconds.
 */
import { fill, h, setText } from "./dom.js";
import { number } from "./format.js";

/**
 * @typedef {object} Column
 * @property {string} name                          as the address has it
 * @property {string} label
 * @property {(row: any) => number | string | null | undefined} value  what is sorted by
 * @property {(row: any) => string} [text]          what is shown; else the value
 * @property {(cell: HTMLElement, row: any) => void} [draw]  shows it otherwise; called again with each new row
 * @property {boolean} [numeric]                    figures: to the right, the greatest first
 * @property {boolean} [spare]                      left out where there is little room
 * @property {string} [hint]                        what the head says in full
 */

/**
 * @typedef {object} Options
 * @property {string} caption                       what the table is, for those who do not see it
 * @property {Column[]} columns
 * @property {(row: any) => string} key
 * @property {string} sort                          a column's name; with - before it: the other way round
 * @property {(sort: string) => void} [sorted]      told when the reader sorts
 * @property {number} [most]                        rows that are shown at once
 * @property {string} [nothing]                     what is said where there are no rows
 */

const MOST = 300;
const ORDER = new Intl.Collator("en", { numeric: true });

export class Table {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.sort = options.sort;
    this.most = options.most ?? MOST;
    /** @type {any[]} */
    this.rows = [];
    /** @type {Map<string, HTMLTableRowElement>} */
    this.held = new Map();
    this.heads = options.columns.map((column) => this.head(column));
    this.body = h("tbody", {});
    this.foot = h("p", { class: "more", hidden: true });
    const caption = h("caption", { class: "unseen" }, options.caption);
    const table = h("table", {}, caption, h("thead", {}, h("tr", {}, this.heads)), this.body);
    this.element = h("div", {}, h("div", { class: "scroll" }, table), this.foot);
    this.tellSort();
  }

  /** @param {Column} column */
  head(column) {
    const button = h("button", { type: "button", class: "head", title: column.hint }, column.label);
    button.addEventListener("click", () => this.sortBy(column));
    return h("th", { scope: "col", class: classes(column), data: { column: column.name } }, button);
  }

  /** @param {Column} column */
  sortBy(column) {
    this.sort = this.sort === column.name ? `-${column.name}` : column.name;
    this.tellSort();
    this.options.sorted?.(this.sort);
    this.show(this.rows);
  }

  tellSort() {
    const { column, down } = this.order();
    for (const head of this.heads) {
      if (head.dataset.column === column?.name) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  /** The column that is sorted by, and whether the greatest comes first. */
  order() {
    const turned = this.sort.startsWith("-");
    const name = turned ? this.sort.slice(1) : this.sort;
    const column = this.options.columns.find((one) => one.name === name);
    return { column, down: Boolean(column?.numeric) !== turned };
  }

  /** @param {any[]} rows */
  show(rows) {
    this.rows = rows;
    const { column, down } = this.order();
    const sorted = column ? [...rows].sort(comparing(column.value, down)) : rows;
    const shown = sorted.slice(0, this.most);
    const held = new Map();
    for (const row of shown) {
      const key = this.options.key(row);
      const line = this.held.get(key) ?? h("tr", {}, this.options.columns.map((one) => h("td", { class: classes(one) })));
      this.draw(line, row);
      held.set(key, line);
    }
    this.held = held;
    place(this.body, shown.length ? [...held.values()] : [this.nothing()]);
    const left = rows.length - shown.length;
    this.foot.hidden = left <= 0;
    setText(this.foot, `${number(left)} more: sort or filter to see them`);
  }

  /**
   * @param {HTMLTableRowElement} line
   * @param {any} row
   */
  draw(line, row) {
    this.options.columns.forEach((column, index) => {
      const cell = line.cells[index];
      if (column.draw) column.draw(cell, row);
      else setText(cell, column.text ? column.text(row) : String(column.value(row) ?? "–"));
    });
  }

  nothing() {
    const span = String(this.options.columns.length);
    return h("tr", { class: "nothing" }, h("td", { colspan: span }, this.options.nothing ?? "There are none."));
  }
}

/**
 * A cell with a link, made once.
 * @param {HTMLElement} cell
 * @param {string} text
 * @param {string} address
 */
export function link(cell, text, address) {
  const there = cell.querySelector("a");
  if (there) {
    setText(there, text);
    there.setAttribute("href", address);
  } else fill(cell, h("a", { href: address }, text));
}

/**
 * A cell with a figure and, behind it, how much of the whole it is.
 * @param {HTMLElement} cell
 * @param {string} text
 * @param {number} share from 0 to 1
 */
export function bar(cell, text, share) {
  if (!cell.firstChild) fill(cell, h("span", {}), h("div", { class: "share", "aria-hidden": "true" }, h("div", {})));
  setText(/** @type {Element} */ (cell.firstElementChild), text);
  const filled = /** @type {HTMLElement} */ (cell.lastElementChild?.firstElementChild);
  filled.style.width = `${Math.min(Math.max(share || 0, 0), 1) * 100}%`;
}

/**
 * Have exactly these children, moving only those that are not where they belong.
 * @param {Element} parent
 * @param {Element[]} children
 */
function place(parent, children) {
  children.forEach((child, index) => {
    const there = parent.children[index];
    if (there !== child) parent.insertBefore(child, there ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild?.remove();
}

/** @param {Column} column */
function classes(column) {
  return [column.numeric ? "number" : "", column.spare ? "spare" : ""].filter(Boolean).join(" ") || null;
}

/**
 * What is not there comes last, whichever way round.
 * @param {(row: any) => any} value
 * @param {boolean} down
 */
function comparing(value, down) {
  return (/** @type {any} */ one, /** @type {any} */ other) => {
    const [a, b] = [value(one), value(other)];
    const [noA, noB] = [a === null || a === undefined, b === null || b === undefined];
    if (noA || noB) return Number(noA) - Number(noB);
    const order = typeof a === "number" && typeof b === "number" ? a - b : ORDER.compare(String(a), String(b));
    return down ? -order : order;
  };
}
