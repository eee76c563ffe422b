/**
 * The client, the same in Node and in browsers. What differs is the platform's: see node.js and browser.js.
 *
 * @typedef {Record<string, unknown>} Tags
 * @typedef {{
 *   client: string, tags: Tags, pendingBytes: number, flushLimit: number, tabLimit: number, disabled: boolean,
 *   log: (text: string) => void,
 * }} Settings
 * @typedef {{
 *   epoch: string, link: import("./sender.js").Link, frameBytes: number, beats: boolean, longestPause: number,
 *   unref: (timer: any) => void, leave: (client: Client) => () => void,
 * }} Platform  `epoch` is another one for each start: 16 random hexadecimal digits. `leave` has the client told when the program ends, and returns what undoes that
 */

import { Flusher, clock } from "./flusher.js";
import { Sender } from "./sender.js";
import { untilBoundary } from "./spans.js";
import { Counter, Gauge, Handle, Registry } from "./tabs.js";
import { Timer } from "./timer.js";

/** Records events, and sends them four times a second. One for each program or page. */
export class Client {
  /**
   * @param {Settings} settings
   * @param {Platform} platform
   */
  constructor(settings, platform) {
    this.id = settings.client;
    this.registry = new Registry(settings.tags, settings.tabLimit, settings.disabled ? 0 : settings.flushLimit);
    this.sender = new Sender(platform.link, { ...settings, ...platform });
    this.flusher = new Flusher(settings.client, this.registry, this.sender, { ...settings, ...platform });
    this.unref = platform.unref;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.next = undefined;
    this.left = () => {};
    this.flusher.closed = settings.disabled;
    if (settings.disabled) return;
    this.left = platform.leave(this);
    this.schedule();
  }

  /**
   * A tab that counts: `add(value)`.
   * @param {string} name
   * @param {Tags} [tags]
   */
  counter(name, tags) {
    return this.registry.handle(Counter, name, "counter", tags);
  }

  /**
   * A tab of numbers whose distribution matters: `record(value)`.
   * @param {string} name
   * @param {Tags} [tags]
   */
  percentile(name, tags) {
    return this.registry.handle(Handle, name, "percentile", tags);
  }

  /**
   * A tab of which the last value holds, a number or a text: `set(value)`.
   * @param {string} name
   * @param {Tags} [tags]
   * @param {{ expiry?: number }} [options] seconds for which a value holds
   */
  gauge(name, tags, { expiry } = {}) {
    if (expiry !== undefined && !(expiry > 0 && expiry < Infinity)) {
      throw new RangeError(`a gauge's expiry is a number of seconds, more than 0, and not ${expiry}`);
    }
    return this.registry.handle(Gauge, name, expiry === undefined ? "gauge" : `gauge(${expiry})`, tags);
  }

  /**
   * A tab of which different values are counted: `record(value)`.
   * @param {string} name
   * @param {Tags} [tags]
   */
  uniques(name, tags) {
    return this.registry.handle(Handle, name, "uniques", tags);
  }

  /**
   * A tab whose most frequent values are kept: `record(value)`.
   * @param {string} name
   * @param {Tags} [tags]
   */
  top(name, tags) {
    return this.registry.handle(Handle, name, "top", tags);
  }

  /**
   * A tab whose last values are kept, numbers or texts: `record(value)`.
   * @param {string} name
   * @param {Tags} [tags]
   */
  buffer(name, tags) {
    return this.registry.handle(Handle, name, "buffer", tags);
  }

  /**
   * Milliseconds of a function or a stretch of a program, as a percentile.
   * @param {string} name
   * @param {Tags} [tags]
   */
  timer(name, tags) {
    return new Timer(this.percentile(name, tags));
  }

  /**
   * A tab of any type that the server knows, also one of its user's own: `record(value)`.
   * @param {string} type
   * @param {string} name
   * @param {Tags} [tags]
   */
  tab(type, name, tags) {
    if (!/^[a-z][a-z0-9_]{0,63}(\([0-9.eE+-]{1,32}\))?$/.test(type)) {
      throw new RangeError(`${JSON.stringify(type)} is not a type: write it as counter, or gauge(30)`);
    }
    return this.registry.handle(Handle, name, type, tags);
  }

  /**
   * Send what was recorded so far, and wait until it is answered, at most so many seconds; whether all was.
   * @param {number} [seconds]
   */
  async flush(seconds = 2) {
    this.flusher.flush();
    return this.sender.finish(seconds, true);
  }

  /**
   * Send for the last time, and wait as `flush` does; where the server was out of reach before, it is tried once more
   * and not waited for. What is recorded from then on is dropped. Runs by itself where a program ends because nothing
   * is left for it to do.
   * @param {number} [seconds]
   */
  async close(seconds = 2) {
    clearTimeout(this.next);
    this.left();
    this.flusher.flush(undefined, true);
    this.registry.flushLimit = this.registry.room.left = 0;
    const all = await this.sender.finish(seconds, false);
    this.sender.link.close();
    return all;
  }

  /** Flush at the next quarter second, and at each after it. */
  schedule() {
    this.next = setTimeout(() => {
      this.schedule();
      this.flusher.tick();
      this.sender.go();
    }, untilBoundary(clock()) * 1000);
    this.unref(this.next);
  }
}
