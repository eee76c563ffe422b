/**
 * The frame: what one client recorded in one flush. Its grammar is in docs/frame.md.
 *
 * Headers are written as Taba's own client writes them, byte for byte: no spaces, ASCII alone, times as floats.
 */

import { crc32 } from "./crc32.js";

/**
 * @typedef {{ names: string[], types: string[], counts: number[], values: string[] }} Texts
 * @typedef {{ names: string[], reasons: string[], counts: number[] }} Drops
 * @typedef {{
 *   client: string, epoch: string, sequence: number, start: number, stop: number,
 *   names: string[], types: string[], counts: number[],
 *   texts?: Texts | null, drops?: Drops | null, closing?: boolean,
 *   began?: number | null, recorded?: number | null, first?: number | null,
 *   weights?: boolean, errors?: number[] | null,
 * }} Header  The fields are the grammar's; times are seconds since 1970.
 */

export const CONTENT_TYPE = "application/vnd.taba.frame";
const MAGIC = 0x41424154; // "TABA", little-endian
const VERSION = 1;
const PREFIX = 20;
const LITTLE = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

const utf8 = new TextEncoder();

/**
 * The bytes that carry numbers: float64, little-endian.
 * @param {ArrayLike<number>} numbers
 */
export function packValues(numbers) {
  const floats = Float64Array.from(numbers);
  const bytes = new Uint8Array(floats.buffer);
  if (!LITTLE) for (let at = 0; at < bytes.length; at += 8) bytes.subarray(at, at + 8).reverse();
  return bytes;
}

/** @param {Uint8Array} bytes */
function unpackValues(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, place) => view.getFloat64(8 * place, true));
}

/**
 * One frame's bytes.
 * @param {Header} header
 * @param {Uint8Array} [values] from `packValues`
 */
export function encode(header, values = new Uint8Array(0)) {
  const text = utf8.encode(written(header));
  const bytes = new Uint8Array(PREFIX + text.length + values.length);
  const prefix = new DataView(bytes.buffer);
  prefix.setUint32(0, MAGIC, true);
  prefix.setUint16(4, VERSION, true);
  prefix.setUint32(8, text.length, true);
  prefix.setUint32(12, values.length, true);
  bytes.set(text, PREFIX);
  bytes.set(values, PREFIX + text.length);
  prefix.setUint32(16, crc32(bytes.subarray(PREFIX)), true);
  return bytes;
}

/**
 * The header's JSON; fields that are absent or false are left out.
 * @param {Header} header
 */
function written(header) {
  const { texts, drops, began, errors } = header;
  const fields = [
    `"client":${json(header.client)}`,
    `"epoch":${json(header.epoch)}`,
    `"sequence":${header.sequence}`,
    `"start":${float(header.start)}`,
    `"stop":${float(header.stop)}`,
    `"names":${json(header.names)}`,
    `"types":${json(header.types)}`,
    `"counts":${json(header.counts)}`,
  ];
  if (texts) fields.push(`"texts":${json(ordered(texts, "names", "types", "counts", "values"))}`);
  if (drops) fields.push(`"drops":${json(ordered(drops, "names", "reasons", "counts"))}`);
  if (header.closing) fields.push('"closing":true');
  if (began != null) fields.push(`"began":${float(began)}`);
  if (header.recorded != null) fields.push(`"recorded":${header.recorded}`);
  if (header.first != null) fields.push(`"first":${header.first}`);
  if (header.weights) fields.push('"weights":true');
  if (errors) fields.push(`"errors":[${errors.map(float).join(",")}]`);
  return `{${fields.join(",")}}`;
}

/**
 * @param {Record<string, unknown>} part
 * @param {string[]} names
 */
const ordered = (part, ...names) => Object.fromEntries(names.map((name) => [name, part[name]]));

/** @param {number} number */
const float = (number) => (Number.isInteger(number) && Math.abs(number) < 1e16 ? `${number}.0` : `${number}`);

/** @param {unknown} value */
function json(value) {
  const text = JSON.stringify(value);
  return /^[ -~]*$/.test(text) ? text : text.replace(/[^ -~]/g, escaped);
}

/** @param {string} unit one of UTF-16's */
const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

/**
 * The header of one frame that `encode` made.
 * @param {Uint8Array} bytes
 * @returns {Header}
 */
export function headerOf(bytes) {
  return decode(bytes)[0].header;
}

/**
 * The frames in `body`; throws a RangeError at the first byte that is not as the grammar says.
 * @param {Uint8Array} body
 * @returns {{ header: Header, numbers: number[], weights: number[] }[]}
 */
export function decode(body) {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const frames = [];
  for (let at = 0; at < body.length; ) {
    const { middle, stop } = bounds(view, at);
    const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body.subarray(at + PREFIX, middle)));
    const floats = unpackValues(body.subarray(middle, stop));
    const numbers = header.weights ? floats.slice(0, floats.length / 2) : floats;
    frames.push({ header, numbers, weights: floats.slice(numbers.length) });
    at = stop;
  }
  return frames;
}

/**
 * Where the header of the frame at `at` ends, and the frame.
 * @param {DataView} view
 * @param {number} at
 */
function bounds(view, at) {
  if (view.byteLength - at < PREFIX) throw new RangeError(`frame at byte ${at}: cut off`);
  if (view.getUint32(at, true) !== MAGIC) throw new RangeError(`frame at byte ${at}: does not begin with TABA`);
  if (view.getUint16(at + 4, true) !== VERSION || view.getUint16(at + 6, true)) {
    throw new RangeError(`frame at byte ${at}: version 1 without flags is read here`);
  }
  const middle = at + PREFIX + view.getUint32(at + 8, true);
  const stop = middle + view.getUint32(at + 12, true);
  if (stop > view.byteLength || (stop - middle) % 8) throw new RangeError(`frame at byte ${at}: cut off`);
  const body = new Uint8Array(view.buffer, view.byteOffset + at + PREFIX, stop - at - PREFIX);
  if (crc32(body) !== view.getUint32(at + 16, true)) {
    throw new RangeError(`frame at byte ${at}: the checksum does not fit, so the bytes were changed`);
  }
  return { middle, stop };
}
