/** Posts frames from a page: by fetch, and by sendBeacon while the page is being left. */

import { joined } from "./sender.js";

/** Seconds after which a request counts as failed. */
const TIMEOUT = 10;
/** What browsers send for a page that is left, in all (https://fetch.spec.whatwg.org, keepalive requests). */
const PARTING_BYTES = 64 << 10;
const TEXT = "text/plain";

/** Posts frames, one request at a time. */
export class BrowserLink {
  /**
   * @param {string} written as https://HOST[:PORT][/PREFIX]
   * @param {string} [token] has browsers ask the server before they send
   */
  constructor(written, token) {
    this.written = written;
    this.url = new URL(`${written.replace(/\/+$/, "")}/v1/events`).href;
    /** @type {Record<string, string>} */
    this.headers = { "Content-Type": TEXT, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    this.token = token;
  }

  /**
   * Send frames and wait for the answer; never throws.
   * @param {Uint8Array} body
   * @returns {Promise<import("./sender.js").Answer>}
   */
  async post(body) {
    const ending = new AbortController();
    const timer = setTimeout(() => ending.abort(), TIMEOUT * 1000);
    try {
      const answer = await fetch(this.url, this.request(body, { signal: ending.signal }));
      const wait = Number(answer.headers.get("Retry-After") || NaN);
      return { status: answer.status, wait: Number.isFinite(wait) ? Math.max(0, wait) : null, text: await answer.text() };
    } catch (error) {
      return { status: 0, wait: null, text: `${/** @type {Error} */ (error).message}` };
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * @param {Uint8Array} body
   * @param {RequestInit} how
   * @returns {RequestInit}
   */
  request(body, how) {
    return {
      method: "POST", body: /** @type {BodyInit} */ (body), headers: this.headers,
      credentials: "omit", cache: "no-store", referrerPolicy: "origin", ...how,
    };
  }

  /**
   * Hand the browser as many of the first frames as it sends for a page that is left; how many it took. Nobody hears
   * the answer, so they are sent again should the page stay, and counted once by their numbers.
   * @param {Uint8Array[]} frames
   */
  part(frames) {
    let count = 0;
    for (let size = 0; count < frames.length && size + frames[count].length <= PARTING_BYTES; count++) {
      size += frames[count].length;
    }
    for (; count > 0; count = Math.floor(count / 2)) {
      const body = joined(frames.slice(0, count));
      if (this.token) {
        fetch(this.url, this.request(body, { keepalive: true })).catch(() => {});
        return count;
      }
      const blob = new Blob([/** @type {BlobPart} */ (body)], { type: TEXT });
      if (navigator.sendBeacon(this.url, blob)) return count;
    }
    return 0;
  }

  /** Nothing is kept open. */
  close() {}
}
