/**
 * Sends frames in order, one request at a time, each repeated with the same bytes until it is answered.
 *
 *     200              the frames are counted
 *     400, 413         they cannot be: frames sent as one are tried one by one; one that is refused by itself is
 *                      dropped, reason `refused`, and its tombstone goes in its place
 *     anything else    repeated after a pause that is doubled each time, shortened at random by up to half; or after
 *                      what Retry-After says
 *
 * @typedef {{ status: number, wait: number | null, text: string }} Answer  `status` is 0 where none came, and `text` says why; `wait` is Retry-After in seconds
 * @typedef {{ post: (body: Uint8Array) => Promise<Answer>, close: () => void, written: string }} Link
 */

import { Pending } from "./pending.js";

const SHORTEST_PAUSE = 0.1;
const LONGEST_RETRY_AFTER = 60;

/** Sends what is put in, and tells when all of it is answered. */
export class Sender {
  /**
   * @param {Link} link
   * @param {{ pendingBytes: number, longestPause: number, log: (text: string) => void, unref: (timer: any) => void }} how
   */
  constructor(link, { pendingBytes, longestPause, log, unref }) {
    this.link = link;
    this.pending = new Pending(pendingBytes);
    this.longestPause = longestPause;
    this.log = log;
    this.unref = unref;
    this.running = false;
    this.oneByOne = 0;
    this.reached = false;
    this.away = false;
    /** How many attempts got no answer at all. */
    this.unanswered = 0;
    /** @type {(() => void) | null} */
    this.wake = null;
    /** @type {Set<() => void>} */
    this.watchers = new Set();
    /** @type {Set<string>} */
    this.told = new Set();
  }

  /** How many frames are not answered yet. */
  get waiting() {
    return this.pending.frames.length;
  }

  /**
   * Take a frame; never waits.
   * @param {import("./pending.js").Encoded} frame
   */
  put(frame) {
    this.pending.put(frame);
  }

  /** Send what waits, if that is not being done. */
  go() {
    if (!this.running) void this.run();
  }

  /**
   * Wait until all frames are answered, at most so long; whether they are. Without patience: where the receiver was
   * out of reach before, one more failure ends the waiting.
   * @param {number} seconds
   * @param {boolean} patient
   * @returns {Promise<boolean>}
   */
  finish(seconds, patient) {
    const givesUp = !patient && !this.reached;
    const before = this.unanswered;
    this.go();
    this.wake?.();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.watchers.delete(look);
        resolve(!this.waiting);
      };
      const look = () => {
        if (!this.waiting || (givesUp && this.unanswered > before)) end();
      };
      const timer = setTimeout(end, seconds * 1000); // keeps the process alive for so long
      this.watchers.add(look);
      look();
    });
  }

  /** Until nothing waits. */
  async run() {
    this.running = true;
    try {
      while (this.waiting) {
        const batch = this.pending.send(this.oneByOne ? 1 : Infinity);
        this.oneByOne = Math.max(0, this.oneByOne - 1);
        await this.deliver(batch);
        for (const look of [...this.watchers]) look();
      }
    } finally {
      this.running = false;
    }
  }

  /**
   * Repeat the batch until it is answered for good.
   * @param {import("./pending.js").Encoded[]} batch
   */
  async deliver(batch) {
    const body = joined(batch.map((one) => one.body));
    for (let failures = 1; ; failures++) {
      const answer = await this.link.post(body);
      if (answer.status >= 200 && answer.status < 300) return this.settled(answer);
      if (answer.status === 400 || answer.status === 413) return this.refused(batch, answer);
      if (await this.pause(answer, failures)) failures = 0;
    }
  }

  /** @param {Answer} answer */
  settled(answer) {
    this.pending.settle();
    this.answered();
    const rejected = rejectedOf(answer.text);
    if (rejected) this.tellOnce("rejected", `rejected events, and their number is in its ledger: ${rejected}`);
  }

  /**
   * @param {import("./pending.js").Encoded[]} batch
   * @param {Answer} answer
   */
  refused(batch, answer) {
    this.answered();
    if (batch.length > 1) {
      this.pending.recall();
      this.oneByOne = batch.length;
    } else if (batch[0].isTombstone) {
      this.pending.settle();
      this.tellOnce("tombstone", `refused to hear what was dropped (${reason(answer)}): it is in no account`);
    } else {
      this.pending.bury("refused");
      this.oneByOne++;
      this.tellOnce("refused", `refused a frame (${reason(answer)}), and its events are dropped`);
    }
  }

  /**
   * Wait before the next attempt; whether somebody is in a hurry.
   * @param {Answer} answer
   * @param {number} failures in a row
   * @returns {Promise<boolean>}
   */
  pause(answer, failures) {
    this.reached = answer.status !== 0;
    if (!this.reached) this.unanswered++;
    if (!this.away) {
      this.away = true;
      this.log(`${this.link.written} takes no frames (${reason(answer)}): they are kept, within bounds, and sent when it does`);
    }
    for (const look of [...this.watchers]) look();
    const longest = Math.min(this.longestPause, SHORTEST_PAUSE * 2 ** Math.min(failures, 20));
    const asked = answer.status === 429 || answer.status === 503 ? answer.wait : null;
    const seconds = asked === null ? longest * (1 - Math.random() / 2) : Math.min(asked, LONGEST_RETRY_AFTER);
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(false), seconds * 1000);
      this.unref(timer);
      const done = (/** @type {boolean} */ hurried) => {
        clearTimeout(timer);
        this.wake = null;
        resolve(hurried);
      };
      this.wake = () => done(true);
    });
  }

  answered() {
    this.reached = true;
    if (this.away) this.log(`${this.link.written} takes frames again: ${this.waiting} wait`);
    this.away = false;
  }

  /**
   * @param {string} kind
   * @param {string} what
   */
  tellOnce(kind, what) {
    if (this.told.has(kind)) return;
    this.told.add(kind);
    this.log(`${this.link.written} ${what}; this is told once`);
  }
}

/** @param {Answer} answer */
const reason = ({ status, text }) => (status ? `status ${status} ` : "") + text.trim().slice(0, 300);

/**
 * Why the first event was rejected, where an answer says that one was.
 * @param {string} text
 */
function rejectedOf(text) {
  try {
    const { rejected } = JSON.parse(text);
    return rejected.length ? String(rejected[0].error).slice(0, 300) : null;
  } catch {
    return null; // whatever it says, it has taken the frames
  }
}

/** @param {Uint8Array[]} parts */
export function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
