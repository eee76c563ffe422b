/** CRC-32 as zip, PNG and the frame have it (ISO 3309, polynomial 0xEDB88320, reflected). */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder;
});

/**
 * The checksum of `bytes`; with `before`, of what had that checksum and `bytes` behind it.
 * @param {Uint8Array} bytes
 * @param {number} [before]
 * @returns {number} from 0 to 2^32 - 1
 */
export function crc32(bytes, before = 0) {
  let remainder = ~before;
  for (let at = 0; at < bytes.length; at++) remainder = TABLE[(remainder ^ bytes[at]) & 0xff] ^ (remainder >>> 8);
  return ~remainder >>> 0;
}
