/** One epoch of a client: drains the handles, numbers and encodes frames, keeps count of what was recorded. */

import { Draft, Drain } from "./drain.js";
import { encode, packValues } from "./frame.js";
import { QUARTER, Spans, boundary } from "./spans.js";

/** Seconds without a frame after which an empty one is due: once a second, at whole flushes. */
const HEARTBEAT = 0.9;

/** Seconds since 1970. */
export const clock = () => Date.now() / 1000;
const ticks = () => performance.now() / 1000;

/** Makes the frames of one client and epoch, sequence from 1. */
export class Flusher {
  /**
   * @param {string} client
   * @param {import("./tabs.js").Registry} registry
   * @param {import("./sender.js").Sender} sender
   * @param {{ epoch: string, frameBytes: number, beats: boolean, log: (text: string) => void }} how  one that does not
   *   beat is silent while nothing is recorded, and each of its frames says that it may be the last
   */
  constructor(client, registry, sender, { epoch, frameBytes, beats, log }) {
    this.client = client;
    this.epoch = epoch;
    this.registry = registry;
    this.sender = sender;
    this.beats = beats;
    this.log = log;
    this.drain = new Drain(frameBytes);
    this.sequence = 0;
    this.recorded = 0;
    this.closed = false;
    this.began = clock();
    this.spans = new Spans(this.began, ticks());
    this.lastFrame = ticks();
  }

  /** Flush up to the last quarter second, unless that is done; it is not when the clock was set back. */
  tick() {
    const now = boundary(clock());
    const ahead = this.spans.stop - now;
    if (!(ahead >= 0 && ahead < QUARTER)) this.flush(now);
  }

  /**
   * Make frames of what was recorded up to `stop`. Without events it is a heartbeat, when one is due. `closing` ends
   * the epoch: what is recorded from then on is dropped.
   * @param {number} [stop]
   * @param {boolean} [closing]
   */
  flush(stop = clock(), closing = false) {
    if (this.closed) return;
    const handles = this.registry.active();
    const drafts = this.drain.take(handles);
    this.registry.renew();
    const now = ticks();
    const span = this.spans.next(stop, now);
    if (!drafts.length && (this.drain.drops.size || this.isDue(now, closing))) drafts.push(new Draft());
    this.drain.tellDrops(drafts);
    drafts.forEach((draft, place) => this.put(draft, span, !this.beats || (closing && place === drafts.length - 1)));
    if (drafts.length) this.lastFrame = now;
    this.closed = closing;
    for (const complaint of this.drain.complaints.splice(0)) this.log(complaint);
  }

  /**
   * Whether a frame without events is due.
   * @param {number} now
   * @param {boolean} closing
   */
  isDue(now, closing) {
    return this.beats && (closing || (!this.sender.waiting && now - this.lastFrame >= HEARTBEAT));
  }

  /**
   * @param {Draft} draft
   * @param {[number, number]} span
   * @param {boolean} closing
   */
  put(draft, [start, stop], closing) {
    const { names, types, counts, numbers, texts, drops } = draft;
    this.recorded += draft.events();
    const header = {
      client: this.client, epoch: this.epoch, sequence: ++this.sequence, start, stop, names, types, counts,
      texts: texts.names.length ? texts : null, drops, closing, began: this.began, recorded: this.recorded,
    };
    const body = encode(header, packValues(numbers.length === 1 ? numbers[0] : numbers.flat()));
    this.sender.put({ sequence: this.sequence, body, isTombstone: false });
  }
}
