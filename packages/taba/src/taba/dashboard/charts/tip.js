/**
 * What the lines are where the pointer is: the time, and each line's value.
 */
import { fill, h } from "../dom.js";
import { clock, number, roughly } from "../format.js";

const MOST = 12;

export class Tip {
  /** @param {HTMLElement} root the chart's element, which it stays within */
  constructor(root) {
    this.root = root;
    this.element = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    root.append(this.element);
    /** @type {number | null} */
    this.index = null;
    root.addEventListener("pointerleave", this.hide);
    root.addEventListener("blur", this.hide);
  }

  hide = () => {
    this.index = null;
    this.element.hidden = true;
  };

  close() {
    this.element.remove();
  }

  /**
   * @param {any} plot uPlot
   * @param {import("./plot.js").Picture} picture
   */
  at(plot, picture) {
    const { idx, left } = plot.cursor;
    if (idx === null || idx === undefined || left < 0) return this.hide();
    // One more time than there are slices is drawn, the end of the last.
    this.index = Math.min(idx, picture.axis.length - 1);
    this.show(plot, picture, this.index, left);
  }

  /** The same place, with new values. @param {any} plot @param {import("./plot.js").Picture} picture */
  again(plot, picture) {
    if (this.index !== null && plot.cursor.left >= 0) this.at(plot, picture);
  }

  /**
   * @param {any} plot
   * @param {import("./plot.js").Picture} picture
   * @param {number} index
   * @param {number} left
   */
  show(plot, picture, index, left) {
    const time = picture.axis[index];
    if (time === undefined) return this.hide();
    const rows = picture.lines
      .map((line) => ({ line, value: line.column[index] }))
      .filter(({ value }) => value !== null && value !== undefined)
      .slice(0, MOST)
      .map(({ line, value }) =>
        h("tr", {},
          h("td", {}, h("span", { class: `key ${line.dashed ? "dashed" : ""} ${line.role}`, data: { colour: line.colour } }), line.label),
          h("td", { class: "number" }, (line.text ?? picture.text ?? number)(/** @type {number} */ (value)))));
    const late = time + picture.step > picture.completeTo;
    fill(this.element,
      h("div", { class: "tip-time" }, `${clock(time)} · ${roughly(picture.step)}`, late && h("span", { class: "fair" }, " not complete yet")),
      rows.length ? h("table", {}, h("tbody", {}, rows)) : h("div", { class: "muted" }, "nothing recorded"));
    paintKeys(this.element);
    this.element.hidden = false;
    const { left: over } = plot.bbox;
    const x = over / devicePixelRatio + left;
    const width = this.element.offsetWidth;
    const right = x + 14 + width > this.root.clientWidth;
    this.element.style.left = `${Math.max(right ? x - 14 - width : x + 14, 0)}px`;
  }
}

/**
 * Give the keys of lines their colours: a style attribute would be against the page's policy, a property is not.
 * @param {Element} within
 */
export function paintKeys(within) {
  for (const key of within.querySelectorAll("[data-colour]")) {
    const element = /** @type {HTMLElement} */ (key);
    element.style.setProperty("--key", `var(${element.dataset.colour})`);
  }
}
