// A complete client in one file, to be written again in another language: docs/clients.md says why each line is there.
import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

const QUARTER = 250;
const sum = (counts) => counts.reduce((total, count) => total + count, 0);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function encode(header, numbers = []) {
  const text = Buffer.from(JSON.stringify(header));
  const values = Buffer.alloc(8 * numbers.length);
  numbers.forEach((number, place) => values.writeDoubleLE(number, 8 * place));
  const rest = Buffer.concat([text, values]);
  const prefix = Buffer.from("TABA\u0001\0\0\0............", "latin1");
  [text.length, values.length, crc32(rest)].forEach((field, place) => prefix.writeUInt32LE(field, 8 + 4 * place));
  return Buffer.concat([prefix, rest]);
}

export class Client {
  constructor(client, server, { values = 100_000, frames = 1000 } = {}) {
    Object.assign(this, { client, url: `${server}/v1/events`, mostValues: values, mostFrames: frames });
    this.epoch = randomBytes(8).toString("hex"); // another one for each start
    this.began = this.stop = this.told = Date.now() / 1000;
    this.tabs = new Map();
    this.drops = new Map();
    this.waiting = [];
    this.room = values;
    this.sequence = this.recorded = 0;
    this.schedule();
  }

  record(tab, type, value) {
    if (this.room <= 0) return this.drop(tab, "flush_limit", 1);
    if (!this.tabs.has(tab)) this.tabs.set(tab, { type, values: [] });
    this.tabs.get(tab).values.push(value);
    this.room--;
  }

  drop(tab, reason, count) {
    const key = `${tab}\n${reason}`;
    if (count) this.drops.set(key, (this.drops.get(key) ?? 0) + count);
  }

  schedule() {
    this.timer = setTimeout(() => {
      this.schedule();
      this.flush(Math.floor(Date.now() / QUARTER) * 0.25);
    }, QUARTER - (Date.now() % QUARTER));
  }

  flush(stop, closing = false) {
    const start = Math.min(this.stop, stop);
    const full = this.waiting.length >= this.mostFrames;
    const [names, types, counts, numbers] = [[], [], [], []];
    for (const [tab, { type, values }] of this.tabs) {
      const good = full ? [] : values.filter(Number.isFinite);
      this.drop(tab, full ? "pending_full" : "not_finite", values.length - good.length);
      if (good.length) [names.push(tab), types.push(type), counts.push(good.length)];
      good.forEach((value) => numbers.push(value));
    }
    this.tabs.clear();
    this.room = this.mostValues;
    this.stop = stop;
    const lost = full ? [] : [...this.drops]; // told once there is room
    const quiet = !names.length && !lost.length && !closing;
    if (quiet && (this.waiting.length || stop - this.told < 0.9)) return; // else it is a heartbeat, once a second
    for (const [key] of lost) this.drops.delete(key);
    const drops = {
      names: lost.map(([key]) => key.split("\n")[0]),
      reasons: lost.map(([key]) => key.split("\n")[1]),
      counts: lost.map(([, count]) => count),
    };
    this.recorded += sum(counts) + sum(drops.counts);
    const header = {
      client: this.client, epoch: this.epoch, sequence: ++this.sequence, start, stop, names, types, counts,
      drops, closing, began: this.began, recorded: this.recorded,
    };
    this.told = stop;
    this.waiting.push({ header, bytes: encode(header, numbers) });
    this.sending ??= this.send().finally(() => (this.sending = null));
  }

  async send() {
    for (let pause = 200; this.waiting.length; ) {
      const [{ header, bytes }] = this.waiting;
      const headers = { "Content-Type": "application/vnd.taba.frame" };
      const answer = await fetch(this.url, { method: "POST", body: bytes, headers }).catch(() => null);
      await answer?.text();
      const refused = answer?.status === 400 || answer?.status === 413;
      if (answer?.ok || (refused && header.first)) {
        this.waiting.shift();
        pause = 200;
      } else if (refused) {
        this.waiting[0] = this.tombstone(header);
      } else {
        await sleep(Number(answer?.headers.get("Retry-After") ?? 0) * 1000 || pause * (1 - Math.random() / 2));
        pause = Math.min(5000, 2 * pause);
      }
    }
  }

  tombstone(header) {
    const { names, reasons, counts } = header.drops;
    const drops = {
      names: [...header.names, ...names], counts: [...header.counts, ...counts],
      reasons: [...header.names.map(() => "refused"), ...reasons],
    };
    const buried = { ...header, names: [], types: [], counts: [], drops, first: header.sequence };
    return { header: buried, bytes: encode(buried) };
  }

  async close() {
    clearTimeout(this.timer);
    this.flush(Date.now() / 1000, true);
    await Promise.race([this.sending, sleep(2000)]);
  }
}
