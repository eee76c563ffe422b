// Numbers and times as people read them.
import assert from "node:assert/strict";
import test from "node:test";
import * as format from "../../src/taba/dashboard/format.js";

const plain = (text) => text.replaceAll("\u202f", " ").replaceAll("\u2212", "-");

test("numbers stay short and keep their size", () => {
  const told = [0, 1, 999, 1000, 1234, 12345, 999_950, 1.5e6, 2e9, 0.5, 0.0421, 0.00042, 3.14159, -12.5, 1e19, 2e-7].map((value) => format.number(value));
  assert.deepEqual(told.map(plain), ["0", "1", "999", "1k", "1.23k", "12.3k", "1M", "1.5M", "2G", "0.5", "0.042", "0.00042", "3.14", "-12.5", "1.0e+19", "2.0e-7"]);
});

test("nothing is a dash, not a number", () => {
  for (const nothing of [null, undefined, NaN]) {
    assert.equal(format.number(nothing), "–");
    assert.equal(format.quantity(nothing, "ms"), "–");
  }
});

test("a number never has more than six characters, whatever its size", () => {
  for (let power = -4; power < 17; power += 0.13) assert.ok(plain(format.number(10 ** power)).length <= 6 + (power < -1 ? 3 : 0), String(10 ** power));
});

test("what rounds up to a thousand is one", () => {
  assert.deepEqual([999.4, 999.6, -999.7].map((value) => format.number(value)).map(plain), ["999", "1k", "-1k"]);
  assert.equal(plain(format.seconds(0.9997)), "1 s");
});

test("values beside each other have as many digits as tell them apart", () => {
  const bytes = [76.86, 76.88, 76.9].map((value) => value * 2 ** 30);
  assert.deepEqual(format.apart(bytes, (value, digits) => plain(format.quantity(value, "B", digits))), ["76.86 GiB", "76.88 GiB", "76.9 GiB"]);
  assert.deepEqual(format.apart([1000, 1001, 1002], format.number), ["1k", "1.001k", "1.002k"]);
  assert.deepEqual(format.apart([0, 5, 10], format.number), ["0", "5", "10"]);
  assert.deepEqual(format.apart([1, 1], format.number), ["1", "1"]);
});

test("one is one", () => {
  assert.deepEqual([0, 1, 2, 12_345].map((count) => format.many(count, "client")), ["0 clients", "1 client", "2 clients", "12.3k clients"]);
});

test("a day begins at 0 o'clock", () => {
  const midnight = new Date(2026, 0, 31, 0, 0, 5).getTime() / 1000;
  assert.equal(format.clock(midnight, midnight), "00:00:05");
});

test("the unit is the last part of the name", () => {
  const names = { "request.ms": "ms", "heap.bytes": "B", "cpu.percent": "%", "wait_seconds": "s", "job.us": "µs", "orders": "", "atoms": "", "page.constructor": "" };
  for (const [name, unit] of Object.entries(names)) assert.equal(format.unitOf(name), unit, name);
});

test("quantities scale within their unit", () => {
  const told = [[81.5, "ms"], [1234, "ms"], [0.2, "ms"], [300_000, "ms"], [3 * 2 ** 20, "B"], [12, "%"], [5, ""], [-2048, "B"], [0, "ms"]];
  assert.deepEqual(told.map(([value, unit]) => plain(format.quantity(value, unit))), ["81.5 ms", "1.23 s", "200 µs", "5 min", "3 MiB", "12 %", "5", "-2 KiB", "0 s"]);
});

test("differences have a sign", () => {
  assert.deepEqual([0.123, -0.034, 0, 1.5, Infinity, 0.0001].map((share) => plain(format.difference(share))), ["+12 %", "-3.4 %", "±0 %", "+150 %", "new", "±0 %"]);
});

test("a stated error, and how long ago", () => {
  assert.equal(plain(format.bound(0.01)), "±1 %");
  assert.equal(plain(format.bound(0.0325)), "±3.3 %");
  assert.deepEqual([0.4, 5, 200, 7300, 200_000].map((age) => plain(format.ago(age))), ["now", "5 s ago", "3 min ago", "2 h ago", "2 d ago"]);
});
