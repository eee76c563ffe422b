/**
 * A grid of which only the part that is seen exists: thousands of items cost as much as the few on the screen.
 */

const OVERSCAN = 1;

/**
 * @template T
 * @typedef {object} Cell
 * @property {HTMLElement} element
 * @property {() => void} close
 */

/** @template {{tab: string}} T */
export class Grid {
  /**
   * @param {HTMLElement} root
   * @param {object} how
   * @param {number} how.height  of a cell, in pixels
   * @param {number} how.width   the least of a cell
   * @param {number} how.gap
   * @param {(item: T) => Cell<T>} how.make
   * @param {(shown: T[]) => void} how.changed  called when other items are seen
   */
  constructor(root, how) {
    this.root = root;
    this.how = how;
    /** @type {T[]} */
    this.items = [];
    /** @type {Map<string, Cell<T>>} */
    this.cells = new Map();
    this.columns = 1;
    this.wide = 0;
    this.frame = 0;
    this.later = () => {
      this.frame ||= requestAnimationFrame(() => {
        this.frame = 0;
        this.place();
      });
    };
    this.sized = new ResizeObserver(this.later);
    this.sized.observe(root);
    addEventListener("scroll", this.later, { passive: true });
    addEventListener("resize", this.later, { passive: true });
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.sized.disconnect();
    removeEventListener("scroll", this.later);
    removeEventListener("resize", this.later);
    for (const cell of this.cells.values()) cell.close();
    this.cells.clear();
  }

  /** @param {T[]} items */
  show(items) {
    this.items = items;
    this.place();
  }

  /** Make the cells that are seen, put them where they belong, and drop the others. All reads come before all writes. */
  place() {
    const { height, width, gap } = this.how;
    const whole = this.root.clientWidth;
    const top = -this.root.getBoundingClientRect().top;
    const screen = innerHeight;
    if (!whole) return;
    this.columns = Math.max(Math.floor((whole + gap) / (width + gap)), 1);
    this.wide = (whole - gap * (this.columns - 1)) / this.columns;
    const rows = Math.ceil(this.items.length / this.columns);
    const first = Math.max(Math.floor(top / (height + gap)) - OVERSCAN, 0);
    const last = Math.min(Math.floor((top + screen) / (height + gap)) + OVERSCAN, rows - 1);
    this.root.style.height = `${Math.max(rows * (height + gap) - gap, 0)}px`;
    this.put(this.items.slice(first * this.columns, (last + 1) * this.columns), first * this.columns);
  }

  /**
   * @param {T[]} shown
   * @param {number} offset the place of the first among all
   */
  put(shown, offset) {
    const { height, gap, make, changed } = this.how;
    const wanted = new Set(shown.map((item) => item.tab));
    let differs = false;
    for (const [key, cell] of this.cells) {
      if (wanted.has(key)) continue;
      cell.close();
      cell.element.remove();
      this.cells.delete(key);
      differs = true;
    }
    shown.forEach((item, index) => {
      let cell = this.cells.get(item.tab);
      if (!cell) {
        cell = make(item);
        this.cells.set(item.tab, cell);
        differs = true;
      }
      const at = offset + index;
      const { style } = cell.element;
      style.width = `${this.wide}px`;
      style.height = `${height}px`;
      style.transform = `translate(${(at % this.columns) * (this.wide + gap)}px, ${Math.floor(at / this.columns) * (height + gap)}px)`;
      // In the order of the list, so that the keyboard goes through them as the eye does.
      const here = this.root.children[index];
      if (here !== cell.element) this.root.insertBefore(cell.element, here ?? null);
    });
    if (differs) changed(shown);
  }
}
