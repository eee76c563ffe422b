/** Times in milliseconds, as a percentile. */

/** Records how long something took, also where it failed. One timer may be used many times at once. */
export class Timer {
  /** @param {import("./tabs.js").Handle} handle */
  constructor(handle) {
    this.handle = handle;
  }

  /**
   * Begin; what is returned records the time when it is called first.
   * @returns {() => number} the milliseconds that it took
   */
  start() {
    const began = performance.now();
    /** @type {number | null} */
    let took = null;
    return () => {
      if (took === null) {
        took = performance.now() - began;
        this.handle.record(took);
      }
      return took;
    };
  }

  /**
   * Run a function and record how long it took: until it returned, or until its promise was settled.
   * @template Result
   * @param {() => Result} run
   * @returns {Result}
   */
  time(run) {
    const stop = this.start();
    let waits = false;
    try {
      const result = run();
      if (result instanceof Promise) {
        waits = true;
        return /** @type {Result} */ (/** @type {unknown} */ (result.finally(stop)));
      }
      return result;
    } finally {
      if (!waits) stop();
    }
  }
}
