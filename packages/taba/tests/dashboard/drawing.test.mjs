// Points become columns that say what was recorded: no zero that is none, no hole where there is a line.
import assert from "node:assert/strict";
import test from "node:test";
import { column, holders, reach, times } from "../../src/taba/dashboard/charts/columns.js";
import { alone, among } from "../../src/taba/dashboard/charts/lines.js";
import { shown } from "../../src/taba/dashboard/kinds.js";
import { path } from "../../src/taba/dashboard/charts/spark.js";
import { joined } from "../../src/taba/dashboard/charts/strips.js";

const total = { label: "per second", role: "main", value: (answer, seconds) => answer.total / seconds };
const mean = { label: "mean", role: "main", value: (answer) => answer.mean };

test("a sum is 0 where nothing was recorded, and nothing where nothing can be yet", () => {
  const drawn = column(times(0, 60, 10), 10, [{ time: 10, total: 50 }], total, { zero: true, until: 40 });
  assert.deepEqual(drawn, [0, 5, 0, 0, null, null]);
});

test("the slice that has not ended is over the time that has been, and not over its first moment", () => {
  const at = (until) => column([0, 10], 10, [{ time: 10, total: 50 }], total, { zero: true, until })[1];
  assert.equal(at(15), 10);
  assert.equal(at(20), 5);
  assert.equal(at(10.01), 15);
});

test("an event shows at once, even before the slice counts as begun", () => {
  assert.equal(column([0, 10], 10, [{ time: 10, total: 5 }], total, { zero: true, until: 9.9 })[1], 1.5);
});

test("a line goes on over small holes by its own rhythm and breaks at large ones", () => {
  const points = [0, 10, 20, 60].map((time) => ({ time, mean: 1 }));
  assert.deepEqual(column(times(0, 70, 10), 10, points, mean, { zero: false, until: 70 }), [1, 1, 1, null, null, null, 1]);
  const slow = [0, 30, 60].map((time) => ({ time, mean: 1 }));
  assert.deepEqual(column(times(0, 70, 10), 10, slow, mean, { zero: false, until: 70 }), [1, undefined, undefined, 1, undefined, undefined, 1]);
});

test("points outside the axis are left out, and earlier ones can be moved onto it", () => {
  const points = [{ time: -10, mean: 9 }, { time: 0, mean: 1 }, { time: 100, mean: 9 }];
  assert.deepEqual(column([0, 10], 10, points, mean, { zero: false, until: 20 }), [1, null]);
  assert.deepEqual(column([3600, 3610], 10, [{ time: 10, mean: 4 }], mean, { zero: false, until: 20, shift: 3600 }), [null, 4]);
});

test("the axis begins at 0 unless all is far from it", () => {
  assert.equal(reach([[1, 2, 10]])[0], 0);
  assert.ok(reach([[290, 293]])[0] > 280);
  assert.deepEqual(reach([[null, undefined]]), [0, 1]);
  assert.deepEqual(reach([[0, 0]]), [0, 1]);
  const [low, high] = reach([[-5, 5]]);
  assert.ok(low < -5 && high > 5);
});

test("a rate is written alike on a card and on an axis", () => {
  const series = { points: [], from: 0, to: 10, step: 10, completeTo: 10 };
  for (const [tab, told] of [["net.bytes", "0\u202fB/s"], ["orders", "0/s"]]) {
    assert.equal(shown(tab, "rate", 0), told);
    assert.equal(alone({ tab, type: "counter" }, series).text(0), told);
  }
});

test("a percentile alone is its median with bands, among others one line", () => {
  const points = [{ time: 0, count: 3, p50: 1, p90: 2, p99: 3, error: 0.01 }];
  const series = { points, from: 0, to: 10, step: 10, completeTo: 10 };
  const picture = alone({ tab: "request.ms", type: "percentile" }, series);
  assert.deepEqual(picture.lines.map(({ label, role, over }) => [label, role, over]), [["p50", "main", undefined], ["p90", "edge", 0], ["p99", "edge", 1]]);
  const [line] = among({ tab: "request.ms", type: "percentile", label: "x", colour: "--c" }, series, { axis: picture.axis });
  assert.deepEqual(line.column, [3]);
  assert.equal(line.text(1500).replace("\u202f", " "), "1.5 s");
});

test("a type of one's own has its numbers as lines", () => {
  const series = { points: [{ time: 0, count: 2, ewma: 4.5, note: "x" }], from: 0, to: 10, step: 10, completeTo: 10 };
  assert.deepEqual(alone({ tab: "a", type: "ewma" }, series).lines.map((line) => [line.label, line.column]), [["ewma", [4.5]]]);
});

test("the time before is a dashed line on the same axis", () => {
  const series = { points: [{ time: 3600, total: 10 }], from: 3600, to: 3610, step: 10, completeTo: 3610 };
  const picture = alone({ tab: "a", type: "counter" }, series, { before: { points: [{ time: 0, total: 20 }], shift: 3600 } });
  assert.deepEqual(picture.lines.map((line) => [line.label, Boolean(line.dashed), line.column]), [["per second", false, [1]], ["before", true, [2]]]);
});

test("texts in a gauge are rows, those that are held now first", () => {
  const points = [
    { time: 0, values: [{ value: "v1", clients: 3 }] },
    { time: 10, values: [{ value: "v2", clients: 1 }, { value: "v1", clients: 2 }] },
    { time: 20, values: [{ value: "v2", clients: 3 }] },
  ];
  assert.deepEqual(holders(points).map(({ value, last }) => [value, last]), [["v2", 3], ["v1", 0]]);
  assert.deepEqual(joined(holders(points)[1].counts, 10), [{ start: 0, stop: 10, clients: 3 }, { start: 10, stop: 20, clients: 2 }]);
});

test("a small line breaks at holes and stays within its frame", () => {
  assert.equal(path([0, 1, null, 1, 1], [0, 1], 4, 10), "M0.0 8.0L1.0 2.0M3.0 2.0L4.0 2.0");
  assert.equal(path([], [0, 1], 4, 10), "");
});
