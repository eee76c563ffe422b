/** Which time a frame stands for: quarters of the wall clock's seconds, so that it lies within one second. */

export const QUARTER = 0.25;

/**
 * Seconds from `now` to the next quarter second, more than none.
 * @param {number} now
 */
export const untilBoundary = (now) => QUARTER - (now % QUARTER);

/**
 * The last quarter second that `now` has reached.
 * @param {number} now
 */
export const boundary = (now) => Math.floor(now / QUARTER) * QUARTER;

/** Cuts time into spans that follow one another, as long as the wall clock runs evenly. */
export class Spans {
  /**
   * @param {number} now the wall clock, in seconds since 1970
   * @param {number} ticks a clock that nobody sets, in seconds
   */
  constructor(now, ticks) {
    this.stop = now;
    this.ticks = ticks;
  }

  /**
   * The span from the last stop to `stop`; a quarter second where the wall clock was set meanwhile.
   * @param {number} stop
   * @param {number} ticks
   * @returns {[number, number]}
   */
  next(stop, ticks) {
    const since = stop - this.stop;
    const even = since >= 0 && since <= ticks - this.ticks + 2 * QUARTER;
    const start = even ? this.stop : stop - QUARTER;
    this.stop = stop;
    this.ticks = ticks;
    return [start, stop];
  }
}
