/**
 * The picture of one tab, drawn in its type's own way.
 *
 *     counter, percentile, uniques, numbers in a gauge, a user's own types    lines over time
 *     texts in a gauge     strips          top     bars          buffer     the last values
 */
import { fill, h } from "../dom.js";
import { baseType } from "../globs.js";
import { isText, kindOf } from "../kinds.js";
import { drawBars, drawValues } from "./bars.js";
import { typeColour } from "./colours.js";
import { alone } from "./lines.js";
import { Plot } from "./plot.js";
import { drawStrips } from "./strips.js";

export class TabPicture {
  /**
   * @param {HTMLElement} root
   * @param {{tab: string, type: string}} tab
   * @param {{height: number, compact?: boolean, most: number, zoom?: (from: number, to: number) => void}} how
   *     `most`: rows of strips, bars or values
   */
  constructor(root, tab, how) {
    this.root = root;
    this.tab = tab;
    this.how = how;
    this.colour = typeColour(baseType(tab.type));
    /** @type {Plot | null} */
    this.plot = null;
    this.body = h("div", { class: "picture-body" });
    root.append(this.body);
  }

  close() {
    this.plot?.close();
    this.body.remove();
  }

  /** Whether it is drawn from points; else from the answer over a window. */
  get overTime() {
    return kindOf(this.tab.type).draws === "lines";
  }

  /**
   * @param {import("./lines.js").Series} series
   * @param {{figure?: string | null, before?: any}} [how]
   */
  showSeries(series, how = {}) {
    const newest = series.points.at(-1);
    if (isText(newest)) {
      this.withoutPlot();
      drawStrips(this.body, series, { most: this.how.most, colour: this.colour });
      return;
    }
    if (!this.plot) {
      fill(this.body);
      this.plot = new Plot(this.body, this.how);
    }
    this.plot.draw(alone(this.tab, series, how));
  }

  /**
   * @param {any} answer over a window
   * @param {any} [before] the same of the time before
   */
  showAnswer(answer, before) {
    this.withoutPlot();
    const { most, compact } = this.how;
    if (kindOf(this.tab.type).draws === "bars") drawBars(this.body, answer, { most, compact, colour: this.colour, before });
    else drawValues(this.body, answer, most);
  }

  withoutPlot() {
    if (!this.plot) return;
    this.plot.close();
    this.plot = null;
    fill(this.body);
  }
}
