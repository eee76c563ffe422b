// The address says what is shown, and what is asked follows from it alone.
import assert from "node:assert/strict";
import test from "node:test";
import { asked, changed, fixedSeries, liveSeries, selected } from "../../src/taba/dashboard/detail/asked.js";
import { tracks } from "../../src/taba/dashboard/detail/tracks.js";
import { median, rarity, scores } from "../../src/taba/dashboard/outliers.js";
import { href, parse } from "../../src/taba/dashboard/place.js";
import { duration, rangeOf, stepFor, written } from "../../src/taba/dashboard/ranges.js";

const at = (hash) => asked(parse(hash));

test("an address is read as it was written, whatever the tab is called", () => {
  for (const tab of ["a", "a/b", "x{k=v w,l=é/ü?&#%}", "http://x:80/"]) {
    const place = parse(href(["tab", tab], { range: "1h", tab: ["b", "c{d=e}"] }));
    assert.deepEqual([place.page, place.rest, place.query.getAll("tab")], ["tab", [tab], ["b", "c{d=e}"]]);
  }
  assert.deepEqual(parse("").page, "");
  assert.deepEqual(parse("#/clients").page, "clients");
  assert.deepEqual(parse("#/%zz").page, "%zz");
});

test("one tab is asked for exactly, a group by its name", () => {
  assert.deepEqual(selected(at("#/tab/a%7Bk%3D1%7D?tab=b&client=web-1")), { tab: ["=a{k=1}", "=b"], client: "web-1" });
  assert.deepEqual(selected(at("#/tab/a%7Bk%3D1%7D?by=k")), { tab: "a", by: "k", client: undefined });
  assert.deepEqual(selected(at("#/tab/a?by=")), { tab: "a", by: "", client: undefined });
});

test("a stretch of time has the step that suits it: zooming in is finer", () => {
  assert.equal(liveSeries(at("#/tab/a?range=1h")).step, "15s");
  assert.equal(liveSeries(at("#/tab/a")).span, "1h");
  const fixed = fixedSeries(at("#/tab/a?from=1000&to=1300"), 5000, 600);
  assert.deepEqual([fixed.from, fixed.to, fixed.step], [400, 700, "1s"]);
  for (const span of [1, 60, 3600, 86400, 30 * 86400, 1e9]) assert.ok(span / stepFor(span, 300) <= 300, String(span));
});

test("what is no range is the usual one", () => {
  for (const query of ["range=x", "from=5", "from=9&to=3", "from=a&to=b", ""]) assert.equal(rangeOf(new URLSearchParams(query)).name, "1h", query);
  assert.deepEqual(rangeOf(new URLSearchParams("range=15m")), { name: "15m", span: 900 });
});

test("durations are read and written alike", () => {
  for (const text of ["30s", "5m", "6h", "7d", "90s"]) assert.equal(duration(written(duration(text))), duration(text));
  for (const text of ["", "5", "m", "-5m", "5x", "0s"]) assert.equal(duration(text), null, text);
});

test("changing one thing keeps the others", () => {
  const place = at("#/tab/a?range=6h&before=day&tab=b");
  assert.equal(changed(place, { before: null, tab: ["b", "c"] }), "#/tab/a?range=6h&tab=b&tab=c");
});

test("groups come with the greatest first", () => {
  const place = at("#/tab/a?by=k");
  const figures = { "a{k=1}": { rate: 1 }, "a{k=2}": { rate: 5 }, a: {} };
  assert.deepEqual(tracks(place, figures, { tabs: {} }, () => "counter").map((track) => track.label), ["k=2", "k=1", "a"]);
});

test("one among many stands out, and its figure does not hide it", () => {
  const all = scores([10, 11, 9, 10, 12, 10, 90]);
  assert.equal(all.indexOf(Math.max(...all)), 6);
  assert.ok(all[6] > 3.5 && all.slice(0, 6).every((score) => Math.abs(score) < 3.5));
});

test("where most are equal, one that differs still stands out", () => {
  const all = scores([5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6]);
  assert.ok(all[10] > 3.5);
  assert.deepEqual(scores([5, 5, 5]), [0, 0, 0]);
});

test("too few say nothing, and one without a figure has no score", () => {
  assert.deepEqual(scores([1, 2]), [null, null]);
  assert.equal(scores([1, null, 2, 3])[1], null);
  assert.ok(Number.isNaN(median([])));
});

test("scores are the same in any unit", () => {
  const values = [3, 8, 1, 9, 40];
  const [some, scaled] = [scores(values), scores(values.map((value) => value * 1000 + 7))];
  some.forEach((score, index) => assert.ok(Math.abs(score - scaled[index]) < 1e-9));
});

test("a text that few hold is rare", () => {
  assert.deepEqual(rarity(["a", "a", "a", "b"]), [0.25, 0.25, 0.25, 0.75]);
});
