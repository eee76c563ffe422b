/**
 * What the tab's page shows, as it changes: points, figures over the range, and both for the time before.
 *
 * A range that ends now follows the live streams. One between two times is asked for once, and so is the time before;
 * that is asked for again now and then where the range moves on.
 */
import { get } from "../api.js";
import { follow } from "../live.js";
import { BEFORE, spanOf, written } from "../ranges.js";
import { fixedFigures, fixedSeries, LATE, liveSeries, selectedFigures, stepOf } from "./asked.js";

const LEAST_REFRESH = 10;
export const WINDOWS = ["1m", "10m", "1h", "1d"];

/**
 * @typedef {object} Shown
 * @property {any} series     the answer of series
 * @property {any} figures    answers over the range, by tab
 * @property {any} windows    answers over the usual windows, by tab
 * @property {number} late    events of all tabs that came late within the range
 * @property {{series: any, figures: any, shift: number} | null} before
 */

export class Source {
  /**
   * @param {import("./asked.js").Asked} asked
   * @param {{changed: (shown: Shown) => void, failed: (error: Error) => void}} reader
   */
  constructor(asked, reader) {
    this.asked = asked;
    this.reader = reader;
    /** @type {Shown} */
    this.shown = { series: null, figures: {}, windows: {}, late: 0, before: null };
    this.stop = new AbortController();
    /** @type {{close: () => void}[]} */
    this.streams = [];
    this.timer = 0;
    this.frame = 0;
    this.begin();
  }

  close() {
    this.stop.abort();
    for (const stream of this.streams) stream.close();
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
  }

  begin() {
    const { asked } = this;
    const refused = (/** @type {Error} */ error) => this.reader.failed(error);
    const range = asked.range.name === null ? null : written(spanOf(asked.range));
    const window = [...new Set([...WINDOWS, ...(range ? [range] : [])])].join(",");
    this.streams.push(follow({ of: "aggregates", fields: { ...selectedFigures(asked), window } }, { refused, answer: (answer) => this.took(answer, range) }));
    if (range) {
      this.streams.push(follow({ of: "series", fields: liveSeries(asked) }, { refused, answer: (answer) => this.set({ series: answer }) }));
    } else this.once(() => this.fixed());
    if (asked.before) this.once(() => this.earlier());
  }

  /**
   * Figures over windows, from the stream.
   * @param {any} answer
   * @param {string | null} range
   */
  took(answer, range) {
    const { [LATE]: late, ...tabs } = answer.tabs;
    if (!range) return this.set({ windows: tabs });
    const figures = Object.fromEntries(Object.entries(tabs).map(([tab, windows]) => [tab, windows[range]]));
    this.set({ windows: tabs, figures, late: late?.[range]?.total ?? 0 });
  }

  async fixed() {
    const now = Date.now() / 1000;
    const [series, figures] = await Promise.all([
      get("series", fixedSeries(this.asked, now), this.stop.signal),
      get("aggregates", fixedFigures(this.asked, now), this.stop.signal),
    ]);
    this.set({ series, ...only(figures.tabs) });
  }

  async earlier() {
    const now = Date.now() / 1000;
    const shift = BEFORE[/** @type {string} */ (this.asked.before)].seconds;
    const [series, figures] = await Promise.all([
      get("series", fixedSeries(this.asked, now, shift), this.stop.signal),
      get("aggregates", fixedFigures(this.asked, now, shift), this.stop.signal),
    ]);
    this.set({ before: { series, figures: only(figures.tabs).figures, shift } });
    if (this.asked.range.name === null) return;
    this.timer = window.setTimeout(() => this.once(() => this.earlier()), Math.max(stepOf(this.asked), LEAST_REFRESH) * 1000);
  }

  /** @param {() => Promise<void>} ask */
  async once(ask) {
    try {
      await ask();
    } catch (error) {
      if (!this.stop.signal.aborted) this.reader.failed(/** @type {Error} */ (error));
    }
  }

  /** @param {Partial<Shown>} changes */
  set(changes) {
    Object.assign(this.shown, changes);
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.reader.changed(this.shown);
    });
  }
}

/**
 * The answers of the one window that was asked for, and what came late in it.
 * @param {Record<string, Record<string, any>>} tabs
 */
function only(tabs) {
  const { [LATE]: late, ...figures } = Object.fromEntries(Object.entries(tabs).map(([tab, windows]) => [tab, Object.values(windows)[0]]));
  return { figures, late: late?.total ?? 0 };
}
