/**
 * What has no stream of changes is asked for again and again, while the page is seen.
 */
import { fill, h } from "./dom.js";

const RETRY_SECONDS = 5;

/**
 * Runs `call` now, and again `seconds` after it has ended, until closed. A hidden page asks nothing.
 * @param {number | null} seconds null: once is enough
 * @param {(signal: AbortSignal) => Promise<void>} call
 * @param {HTMLElement} trouble where it is said that `call` failed, until it does well again
 * @returns {{close: () => void, again: () => void}} `again` runs it at once, in the place of what is under way
 */
export function every(seconds, call, trouble) {
  let timer = 0;
  let stop = new AbortController();
  let closed = false;

  const run = async () => {
    clearTimeout(timer);
    stop.abort();
    const mine = (stop = new AbortController());
    if (document.hidden || closed) return;
    let wait = seconds;
    try {
      await call(mine.signal);
      if (!mine.signal.aborted) tell(trouble, "");
    } catch (error) {
      if (!mine.signal.aborted) tell(trouble, /** @type {Error} */ (error).message);
      wait ??= RETRY_SECONDS;
    }
    if (!mine.signal.aborted && wait !== null) timer = window.setTimeout(run, wait * 1000);
  };

  document.addEventListener("visibilitychange", run);
  run();
  return {
    again: run,
    close() {
      closed = true;
      clearTimeout(timer);
      stop.abort();
      document.removeEventListener("visibilitychange", run);
    },
  };
}

/**
 * A place for what `every` has to tell.
 * @returns {HTMLElement}
 */
export function troublePlace() {
  return h("div", { class: "trouble", role: "alert", hidden: true });
}

/**
 * @param {HTMLElement} place
 * @param {string} text nothing where all is well
 */
export function tell(place, text) {
  if (place.dataset.told === text) return;
  place.dataset.told = text;
  place.hidden = !text;
  fill(place, text ? h("p", { class: "problem" }, text) : null);
}
