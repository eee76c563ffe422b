// Live changes merged into what a page holds give what the server would answer as a whole.
import assert from "node:assert/strict";
import test from "node:test";
import { merge, points } from "../../src/taba/dashboard/merging.js";

const point = (time, total) => ({ time, total });

test("windows that changed take the place of those held; the others stay", () => {
  const held = { complete_to: 1, tabs: { a: { "1m": { total: 1 }, "1h": { total: 9 } }, b: { "1m": { total: 2 } } } };
  const merged = merge("aggregates", held, { complete_to: 2, tabs: { a: { "1m": { total: 3 } }, c: { "1m": { total: 4 } } } });
  assert.deepEqual(merged, { complete_to: 2, tabs: { a: { "1m": { total: 3 }, "1h": { total: 9 } }, b: { "1m": { total: 2 } }, c: { "1m": { total: 4 } } } });
  assert.deepEqual(Object.keys(held.tabs), ["a", "b"]);
});

test("a tab that is gone is null, and a client too", () => {
  assert.deepEqual(merge("aggregates", { tabs: { a: {}, b: {} } }, { tabs: { a: null } }).tabs, { b: {} });
  const merged = merge("projections", { tabs: { a: { x: { "1m": 1 }, y: { "1m": 2 } } } }, { tabs: { a: { x: null, z: { "1m": 3 } } } });
  assert.deepEqual(merged.tabs, { a: { y: { "1m": 2 }, z: { "1m": 3 } } });
});

test("points are merged by time, and those before the range end", () => {
  const held = { from: 0, tabs: { a: [point(0, 1), point(5, 1), point(10, 1)], b: [point(0, 7), point(5, 8)] } };
  const merged = merge("series", held, { from: 5, tabs: { a: [point(10, 2), point(15, 1)] } });
  assert.deepEqual(merged.tabs.a, [point(5, 1), point(10, 2), point(15, 1)]);
  assert.deepEqual(merged.tabs.b, [point(5, 8)]);
});

test("points by client are merged for each", () => {
  const held = { from: 0, tabs: { a: { x: [point(0, 1)], y: [point(5, 1)] } } };
  const merged = merge("series", held, { from: 5, tabs: { a: { z: [point(10, 1)] } } }, true);
  assert.deepEqual(merged.tabs.a, { y: [point(5, 1)], z: [point(10, 1)] });
});

test("merging points is the union by time, the newer of both, in order", () => {
  let seed = 7;
  const random = (below) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below;
  for (let turn = 0; turn < 300; turn += 1) {
    const some = (value) => [...new Set(Array.from({ length: random(8) }, () => random(12)))].sort((a, b) => a - b).map((time) => point(time, value));
    const [held, changed] = [some("old"), some("new")];
    const wanted = new Map([...held, ...changed].map((one) => [one.time, one]));
    assert.deepEqual(points(held, changed), [...wanted.values()].sort((a, b) => a.time - b.time));
  }
});
