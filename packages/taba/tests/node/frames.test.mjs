/** The parts of the JavaScript client that know no clock and no connection. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { crc32 } from "../../../taba-js/src/crc32.js";
import { Drain } from "../../../taba-js/src/drain.js";
import { decode, encode, packValues } from "../../../taba-js/src/frame.js";
import { Pending } from "../../../taba-js/src/pending.js";
import { Spans, untilBoundary } from "../../../taba-js/src/spans.js";
import { Counter, Gauge, Handle, Registry } from "../../../taba-js/src/tabs.js";
import { tombstone } from "../../../taba-js/src/tombstone.js";

const GOLDEN = new URL("../golden/", import.meta.url);
const names = readdirSync(GOLDEN).filter((name) => name.endsWith(".frame"));
const bytesOf = (name) => new Uint8Array(readFileSync(new URL(name, GOLDEN)));
const meaningOf = (name) => JSON.parse(readFileSync(new URL(name.replace(".frame", ".json"), GOLDEN), "utf8"));

test("the golden files are all there", () => assert.ok(names.length >= 8, `${names}`));

for (const name of names) {
  test(`${name}: encoding its meaning gives its bytes, and its bytes mean what its JSON says`, () => {
    const meaning = meaningOf(name);
    const encoded = meaning.map(({ header, numbers, weights = [] }) => encode(header, packValues([...numbers, ...weights])));
    assert.deepEqual(Buffer.concat(encoded), Buffer.from(bytesOf(name)));
    const decoded = decode(bytesOf(name));
    assert.deepEqual(decoded.map((one) => one.header), meaning.map((one) => one.header));
    assert.deepEqual(decoded.map((one) => one.numbers), meaning.map((one) => one.numbers));
    assert.deepEqual(decoded.map((one) => one.weights), meaning.map((one) => one.weights ?? []));
  });
}

test("a changed byte, a cut and another magic are refused", () => {
  const whole = bytesOf("counters.frame");
  for (let at = 0; at < whole.length; at++) {
    const changed = whole.slice();
    changed[at] ^= 1;
    assert.throws(() => decode(changed), RangeError, `byte ${at}`);
    if (at) assert.throws(() => decode(whole.subarray(0, at)), RangeError, `cut at ${at}`);
  }
});

test("the checksum is zip's", () => assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926));

test("the tombstone of recorded.frame is tombstone.frame", () => {
  const headers = decode(bytesOf("recorded.frame")).map((one) => one.header);
  const [{ header }] = decode(bytesOf("tombstone.frame"));
  assert.deepEqual(decode(encode(tombstone(headers, "pending_full")))[0].header, header);
  assert.equal(header.first, 1);
});

/** What was recorded, put into drafts. */
function drained(record, { frameBytes = 1 << 20, flushLimit = 1000, tabLimit = 100 } = {}) {
  const registry = new Registry({}, tabLimit, flushLimit);
  record(registry);
  const drain = new Drain(frameBytes);
  const drafts = drain.take(registry.active());
  drain.tellDrops(drafts);
  const dropped = {};
  for (const { drops } of drafts) {
    drops?.names.forEach((tab, place) => {
      const key = `${tab} ${drops.reasons[place]}`;
      dropped[key] = (dropped[key] ?? 0) + drops.counts[place];
    });
  }
  return { drafts, dropped, drain, registry };
}

test("one bad value costs its own event and never the frame", () => {
  const { drafts, dropped, drain } = drained((registry) => {
    const counter = registry.handle(Counter, "n", "counter");
    for (const value of [1, NaN, "2", null, undefined, {}, 3n, true, Infinity, Symbol("s")]) counter.record(value);
    const users = registry.handle(Handle, "users", "uniques");
    for (const value of ["anna", 7, "x".repeat(1025), "\ud800half", "🎈".repeat(1024), {}]) users.record(value);
  });
  assert.deepEqual(drafts[0].numbers, [[1, 3, 1]]);
  assert.deepEqual(drafts[0].texts.values, ["anna", "7", "?half", "🎈".repeat(1024)]);
  assert.deepEqual(dropped, { "n not_finite": 2, "n wrong_type": 5, "users too_long": 1, "users wrong_type": 1 });
  assert.equal(drain.complaints.length, 2);
  assert.match(drain.complaints[0], /NaN is not a finite number/);
});

test("of a gauge, what came last is sent, be it number or text", () => {
  const record = (...values) => (registry) => values.forEach((value) => registry.handle(Gauge, "g", "gauge").set(value));
  const text = drained(record(1, 2, "ready"));
  assert.deepEqual([text.drafts[0].numbers, text.drafts[0].texts.values], [[], ["ready"]]);
  assert.deepEqual(text.dropped, { "g superseded": 2 });
  assert.deepEqual(drained(record("ready", 5)).drafts[0].numbers, [[5]]);
});

test("what one flush takes is bounded, in numbers, in texts and in tabs", () => {
  const { dropped } = drained((registry) => {
    for (let place = 0; place < 1500; place++) registry.handle(Counter, "n", "counter").add();
  });
  assert.deepEqual(dropped, { "n flush_limit": 500 });
  const texts = drained((registry) => {
    for (let place = 0; place < 1500; place++) registry.handle(Handle, "t", "top").record("x".repeat(800));
  });
  assert.deepEqual(texts.dropped, { "t flush_limit": 1490 });
  const tabs = drained((registry) => {
    for (let place = 0; place < 150; place++) registry.handle(Counter, "n", "counter", { place }).add();
  });
  assert.deepEqual(tabs.dropped, { "taba.client.tab_limit tab_limit": 50 });
});

test("a flush too large for one frame goes into several, and nothing is lost between them", () => {
  const { drafts } = drained(
    (registry) => {
      for (let place = 0; place < 900; place++) registry.handle(Counter, "n", "counter").add(place);
      for (let place = 0; place < 900; place++) registry.handle(Handle, `t${place % 7}`, "top").record(`text ${place}`);
    },
    { frameBytes: 2048, flushLimit: 10_000 },
  );
  assert.ok(drafts.length > 5);
  assert.deepEqual(drafts.flatMap((one) => one.numbers).flat(), Array.from({ length: 900 }, (_, place) => place));
  assert.equal(drafts.flatMap((one) => one.texts.values).length, 900);
  for (const { texts, numbers, names, types, counts } of drafts) {
    const header = { client: "c", epoch: "e", sequence: 1, start: 0, stop: 1, names, types, counts, texts };
    const size = encode(header, packValues(numbers.flat())).length;
    assert.ok(size < 2048 + 200, `${size}`);
    assert.equal(counts.reduce((sum, count) => sum + count, 0), numbers.flat().length);
  }
});

test("names that break the rules are told, and values of tags are cleaned", () => {
  const registry = new Registry({ service: "web" }, 10, 10);
  assert.equal(registry.handle(Counter, "a.b", "counter", { z: "x{y}", a: 1 }).tab, "a.b{a=1,service=web,z=x_y_}");
  assert.equal(registry.handle(Counter, "a.b", "counter", { z: "x{y}", a: 1 }), registry.handle(Counter, "a.b", "counter", { a: "1", z: "x_y_" }));
  const broken = { toString: () => { throw new Error("broken"); } };
  assert.equal(registry.handle(Counter, "c", "counter", { broken }).tab, "c{broken=object,service=web}");
  for (const name of ["", " x", "x".repeat(201), "é", undefined]) assert.throws(() => registry.handle(Counter, name, "counter"), RangeError);
  assert.throws(() => registry.handle(Counter, "a", "counter", { "no key": 1 }), /not a tag's key/);
  assert.throws(() => registry.handle(Handle, "a.b", "percentile"), /is of type counter/);
});

test("spans follow one another, and a clock that is set makes no long one", () => {
  const spans = new Spans(100.1, 0);
  assert.deepEqual(spans.next(100.25, 0.15), [100.1, 100.25]);
  assert.deepEqual(spans.next(100.5, 0.4), [100.25, 100.5]);
  assert.deepEqual(spans.next(4000, 0.65), [3999.75, 4000]);
  assert.deepEqual(spans.next(90, 0.9), [89.75, 90]);
  assert.equal(untilBoundary(100.5), 0.25);
});

test("memory is bounded: the oldest that were never sent become one tombstone, the others keep their bytes", () => {
  const limit = 64 << 10;
  const pending = new Pending(limit);
  let recorded = 0;
  const put = (sequence) => {
    recorded += 100;
    const header = { client: "c", epoch: "e", sequence, start: 0, stop: 1, names: ["n"], types: ["counter"], counts: [100], began: 0, recorded };
    pending.put({ sequence, body: encode(header, packValues(Array(100).fill(1))), isTombstone: false });
  };
  for (let sequence = 1; sequence <= 5; sequence++) put(sequence);
  const sent = pending.send(Infinity).map((one) => one.body);
  for (let sequence = 6; sequence <= 500; sequence++) put(sequence);
  assert.ok(pending.frames.reduce((size, one) => size + one.body.length, 0) <= limit);
  assert.deepEqual(pending.frames.slice(0, sent.length).map((one) => one.body), sent);
  const headers = decode(Buffer.concat(pending.frames.map((one) => one.body))).map((one) => one.header);
  let expected = 1;
  for (const header of headers) {
    assert.equal(header.first ?? header.sequence, expected);
    expected = header.sequence + 1;
  }
  assert.equal(expected, 501);
  assert.equal(headers.filter((one) => one.first).length, 1);
  const events = headers.flatMap((one) => [...one.counts, ...(one.drops?.counts ?? [])]);
  assert.equal(events.reduce((sum, count) => sum + count, 0), 50_000);
});
