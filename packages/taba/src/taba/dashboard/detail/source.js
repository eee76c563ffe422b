/**
 * What the tab's page shows, as it changes: points, figures over the range, and both for the time before.
 *
 * A range that ends now follows the live streams. One between two times is asked for once, and so is the time before;
 * that is asked for again now and then where the range moves on.
 */
import { get, now, Refused } from "../api.js";
import { split } from "../globs.js";
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
    /** @type {Set<number>} */
    this.timers = new Set();
    this.frame = 0;
    this.begin();
  }

  close() {
    this.stop.abort();
    for (const stream of this.streams) stream.close();
    for (const timer of this.timers) clearTimeout(timer);
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
    const { late, tabs } = this.parted(answer.tabs);
    if (!range) return this.set({ windows: tabs });
    const figures = Object.fromEntries(Object.entries(tabs).map(([tab, windows]) => [tab, windows[range]]));
    this.set({ windows: tabs, figures, late: late?.[range]?.total ?? 0 });
  }

  /**
   * What came late was asked for besides, unless it is what the page is of.
   * @template T
   * @param {Record<string, T>} all
   * @returns {{late: T | undefined, tabs: Record<string, T>}}
   */
  parted(all) {
    const { [LATE]: late, ...tabs } = all;
    const { asked } = this;
    return { late, tabs: [asked.tab, ...asked.also].some((tab) => split(tab).name === LATE) ? all : tabs };
  }

  async fixed() {
    const end = now();
    const [series, figures] = await Promise.all([
      get("series", fixedSeries(this.asked, end), this.stop.signal),
      get("aggregates", fixedFigures(this.asked, end), this.stop.signal),
    ]);
    const { late, tabs } = this.parted(only(figures.tabs));
    this.set({ series, figures: tabs, late: late?.total ?? 0 });
  }

  async earlier() {
    const end = now();
    const shift = BEFORE[/** @type {string} */ (this.asked.before)].seconds;
    const [series, figures] = await Promise.all([
      get("series", fixedSeries(this.asked, end, shift), this.stop.signal),
      get("aggregates", fixedFigures(this.asked, end, shift), this.stop.signal),
    ]);
    this.set({ before: { series, figures: this.parted(only(figures.tabs)).tabs, shift } });
    if (this.asked.range.name !== null) this.later(() => this.earlier(), Math.max(stepOf(this.asked), LEAST_REFRESH));
  }

  /**
   * Ask; and again later where the server was away, or could not answer just then.
   * @param {() => Promise<void>} ask
   */
  async once(ask) {
    try {
      await ask();
    } catch (error) {
      if (this.stop.signal.aborted) return;
      this.reader.failed(/** @type {Error} */ (error));
      if (error instanceof Refused && (error.status === 0 || error.status >= 500)) this.later(ask, LEAST_REFRESH);
    }
  }

  /**
   * @param {() => Promise<void>} ask
   * @param {number} seconds
   */
  later(ask, seconds) {
    const timer = window.setTimeout(() => {
      this.timers.delete(timer);
      this.once(ask);
    }, seconds * 1000);
    this.timers.add(timer);
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
 * The answers of the one window that was asked for.
 * @param {Record<string, Record<string, any>>} tabs
 * @returns {Record<string, any>}
 */
function only(tabs) {
  return Object.fromEntries(Object.entries(tabs).map(([tab, windows]) => [tab, Object.values(windows)[0]]));
}
