/**
 * Answers as they change. One stream for each question: a browser opens only six connections to a server, so a page asks
 * for all that it shows in one or two questions. A hidden page listens to nothing.
 */
import { address, Refused, tellHead } from "./api.js";
import { tellLocked } from "./lock.js";
import { merge } from "./merging.js";

/** @typedef {{of: import("./merging.js").Of, fields: import("./api.js").Fields}} Question */
/**
 * @typedef {object} Reader
 * @property {(answer: any, changed: string[] | null) => void} answer
 *     the whole answer, and which of its tabs have changed; null: all of them
 * @property {(error: Error) => void} [refused] the server will not answer this question
 */

const RETRY_MS = 2000;

/** @type {Set<(broken: string | null) => void>} */
const watchers = new Set();
/** @type {Map<object, string>} */
const broken = new Map();

/**
 * Be told when a stream breaks (with the reason), and with null when all are well again.
 * @param {(broken: string | null) => void} watcher
 */
export function onBroken(watcher) {
  watchers.add(watcher);
}

/**
 * Follow a question's answer until it is closed.
 * @param {Question} question
 * @param {Reader} reader
 * @returns {{close: () => void}}
 */
export function follow(question, reader) {
  const stream = new Stream(question, reader);
  return { close: () => stream.close() };
}

class Stream {
  /**
   * @param {Question} question
   * @param {Reader} reader
   */
  constructor(question, reader) {
    this.question = question;
    this.reader = reader;
    this.closed = false;
    /** @type {EventSource | null} */
    this.source = null;
    this.answer = null;
    this.again = 0;
    this.last = "";
    this.seen = () => this.listen();
    document.addEventListener("visibilitychange", this.seen);
    this.listen();
  }

  close() {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.seen);
    this.stop();
    this.tell(null);
  }

  stop() {
    clearTimeout(this.again);
    this.source?.close();
    this.source = null;
  }

  /** Listen while the page is seen; what came last tells the server where to go on. */
  listen() {
    if (document.hidden || this.closed) return this.stop();
    if (this.source) return;
    const { of, fields } = this.question;
    const resumed = this.answer && this.last ? { last_event_id: this.last } : {};
    const source = new EventSource(address("live", { of, ...fields, ...resumed }));
    this.source = source;
    source.addEventListener("answers", (event) => this.take(event, true));
    source.addEventListener("changes", (event) => this.take(event, false));
    source.addEventListener("trouble", (event) => this.tell(JSON.parse(event.data).error));
    source.addEventListener("error", (event) => this.fail(event));
  }

  /**
   * @param {MessageEvent} event
   * @param {boolean} whole
   */
  take(event, whole) {
    const given = JSON.parse(event.data);
    const each = this.question.fields.each === "client";
    this.last = event.lastEventId;
    this.answer = whole || !this.answer ? given : merge(this.question.of, this.answer, given, each);
    this.tell(null);
    tellHead(given);
    this.reader.answer(this.answer, whole ? null : Object.keys(given.tabs));
  }

  /** @param {Event} event the server's own `error`, which has a text, or the connection's */
  async fail(event) {
    if (event instanceof MessageEvent && event.data) {
      this.stop();
      this.reader.refused?.(new Refused(JSON.parse(event.data).error, 400));
      return;
    }
    this.tell("the live connection broke; trying again");
    if (this.source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    this.stop();
    const refusal = await this.refusal();
    if (this.closed || this.source) return;
    if (refusal) {
      this.tell(null);
      this.reader.refused?.(refusal);
    } else this.again = window.setTimeout(() => this.listen(), RETRY_MS);
  }

  /** Why the server refuses the question, which a stream does not tell; null where it does not. */
  async refusal() {
    const { of, fields } = this.question;
    const stop = new AbortController();
    try {
      const response = await fetch(address("live", { of, ...fields }), { signal: stop.signal });
      if (response.status < 400 || response.status >= 500) return null;
      const answer = await response.json();
      if (response.status === 401) tellLocked(answer.error);
      return new Refused(answer.error ?? `the server answers ${response.status}`, response.status);
    } catch {
      return null;
    } finally {
      stop.abort();
    }
  }

  /** @param {string | null} text */
  tell(text) {
    const before = broken.size;
    if (text === null) broken.delete(this);
    else broken.set(this, text);
    if (text === null && (broken.size || !before)) return;
    for (const watcher of watchers) watcher(text);
  }
}
