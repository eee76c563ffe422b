/**
 * Encoded frames that wait for their answer, oldest first, bounded in bytes.
 *
 * Those that were sent may have arrived, even where no answer came. They keep their place and their bytes until they
 * are answered. When room is needed, the oldest of the others go, and in their place comes a tombstone that says what
 * they held. So each number is answered exactly once. Frames have seven eighths of the room, tombstones the last one.
 *
 * @typedef {{ sequence: number, body: Uint8Array, isTombstone: boolean }} Encoded
 */

import { encode, headerOf } from "./frame.js";
import { MAX_NAMED, tombstone } from "./tombstone.js";

/** Frames that have piled up travel together, up to about this many bytes. */
const BATCH_BYTES = 1 << 20;

/** A queue of one epoch's frames. */
export class Pending {
  /** @param {number} limit in bytes */
  constructor(limit) {
    this.limit = limit;
    /** @type {Encoded[]} */
    this.frames = [];
    /** Of frames, without tombstones: these are few, since all frames of an epoch share one. */
    this.frameBytes = 0;
    this.underWay = 0;
    /** How many, from the oldest on, were sent at least once. */
    this.tried = 0;
  }

  /**
   * Append a frame. Where room is wanted, the oldest that were never sent become a tombstone.
   * @param {Encoded} frame
   */
  put(frame) {
    this.insert(this.frames.length, frame);
    const gone = this.beyondRoom();
    if (gone.length) this.insert(this.tried, buried(gone, "pending_full", this.limit / 32));
  }

  /**
   * The oldest frames, at most `most`, to be sent as one; they are then under way.
   * @param {number} most
   */
  send(most) {
    const batch = this.first(Math.min(BATCH_BYTES, this.limit / 4)).slice(0, most);
    this.underWay = batch.length;
    this.tried = Math.max(this.tried, this.underWay);
    return batch;
  }

  /**
   * The oldest frames that `bytes` hold, or the very oldest; the caller says whether they are sent.
   * @param {number} bytes
   */
  first(bytes) {
    let size = 0;
    let count = 0;
    while (count < this.frames.length && (!count || size + this.frames[count].body.length <= bytes)) {
      size += this.frames[count++].body.length;
    }
    return this.frames.slice(0, count);
  }

  /**
   * The oldest so many were sent, on whatever way.
   * @param {number} count
   */
  sent(count) {
    this.tried = Math.max(this.tried, count);
  }

  /** What is under way has been answered and is no longer wanted. */
  settle() {
    for (const gone of this.frames.splice(0, this.underWay)) this.weigh(gone, -1);
    this.tried -= this.underWay;
    this.underWay = 0;
  }

  /** What is under way was refused as a whole, and is to be sent otherwise. */
  recall() {
    this.underWay = 0;
  }

  /**
   * The one frame under way was refused: its tombstone, to be sent next, comes in its place.
   * @param {string} reason
   */
  bury(reason) {
    const [gone] = this.frames.splice(0, 1);
    this.weigh(gone, -1);
    this.insert(0, buried([gone], reason, this.limit / 32));
    this.underWay = 0;
  }

  /** Take out the oldest that were never sent until frames keep to their room, and tombstones next to them. */
  beyondRoom() {
    const room = this.limit - this.limit / 8;
    /** @type {Encoded[]} */
    const gone = [];
    while (this.tried + gone.length < this.frames.length) {
      const next = this.frames[this.tried + gone.length];
      if (this.frameBytes <= room && !(gone.length && next.isTombstone)) break;
      this.weigh(next, -1);
      gone.push(next);
    }
    this.frames.splice(this.tried, gone.length);
    return gone;
  }

  /**
   * @param {number} place
   * @param {Encoded} frame
   */
  insert(place, frame) {
    this.frames.splice(place, 0, frame);
    this.weigh(frame, 1);
  }

  /**
   * @param {Encoded} frame
   * @param {number} sign
   */
  weigh(frame, sign) {
    if (!frame.isTombstone) this.frameBytes += sign * frame.body.length;
  }
}

/**
 * The tombstone of frames and older tombstones that follow one another, of `size` bytes if it can be so small.
 * @param {Encoded[]} frames
 * @param {string} reason
 * @param {number} size
 * @returns {Encoded}
 */
function buried(frames, reason, size) {
  const headers = frames.map((one) => headerOf(one.body));
  const { sequence } = headers[headers.length - 1];
  for (let named = MAX_NAMED; ; named = Math.floor(named / 8)) {
    const body = encode(tombstone(headers, reason, named));
    if (body.length <= size || !named) return { sequence, body, isTombstone: true };
  }
}
