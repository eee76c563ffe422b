// Clients put together, what is found by what is typed, summaries of answers, and what a board asks.
import assert from "node:assert/strict";
import test from "node:test";
import { nameOf, written } from "../../src/taba/dashboard/board/files.js";
import { range, tracksOf } from "../../src/taba/dashboard/board/question.js";
import { fits, joined, state, sum } from "../../src/taba/dashboard/clients.js";
import { summary } from "../../src/taba/dashboard/trends.js";

const NOW = 1_800_000_000;

test("a client is current, behind or silent, by when it was heard and what is missing", () => {
  assert.equal(state({ heard: NOW - 3, complete_to: NOW - 4 }, NOW), "current");
  assert.equal(state({ heard: NOW - 3, complete_to: null }, NOW), "current");
  assert.equal(state({ heard: NOW - 3, complete_to: NOW - 60 }, NOW), "behind");
  assert.equal(state({ heard: NOW - 11, complete_to: NOW - 11 }, NOW), "silent");
});

test("ledger, list and rates become one row, also where one of them does not know a client", () => {
  const row = { recorded: 9, folded: 6, dropped: { too_old: 2, future: 1 }, in_flight: 0, in_flight_since: null, complete_to: null, heard: NOW, processes: 0 };
  const events = { tabs: { "taba.client.events": { a: { "1m": { rate: 0.5 } } } } };
  const found = joined({ ledger: { a: row, b: row } }, { clients: [{ client: "a", tabs: 3 }] }, events, NOW);
  assert.deepEqual(found.map(({ client, tabs, rate, dropped }) => [client, tabs, rate, dropped]), [["a", 3, 0.5, 3], ["b", 0, 0, 3]]);
  assert.equal(joined({ ledger: { a: row } }, null, events, NOW)[0].tabs, null);
  assert.equal(sum({}), 0);
});

test("a name is found by a part of it or by a glob, and by nothing that only looks like a pattern", () => {
  assert.ok(fits("web-17", "EB-1"));
  assert.ok(fits("web-17", "web-*"));
  assert.ok(fits("web-17", "web-1?"));
  assert.ok(!fits("web-17", "eb-*"));
  assert.ok(!fits("web-17", "web.17"));
  assert.ok(fits("a(b", "a(*"));
  assert.ok(fits("anything", " "));
});

test("an answer is summed up in its type's words", () => {
  const say = (tab, type, answer) => summary({ tab, type }, answer).replaceAll("\u202f", " ");
  assert.equal(say("pages", "top", { count: 9, values: [{ value: "/home", count: 7 }], bound: 0 }), "/home ×7");
  assert.equal(say("errors", "buffer", { count: 1, values: [{ time: 1, value: "<b>" }] }), "<b>");
  assert.equal(say("pages", "top", { count: 0, values: [], bound: 0 }), "–");
  assert.equal(say("release", "gauge", { value: "v1", time: 1 }), "v1");
  assert.equal(say("users", "uniques", { uniques: 299, error: 0.0325 }), "299 distinct ±3.3 %");
  assert.match(say("a.ms", "percentile", { count: 2, p50: 58, p99: 98, error: 0.01 }), /^p50 58 ms · p99 98 ms ±1 %$/);
});

test("a range ends now or stays where it is; a time without a zone is UTC, as the server reads it", () => {
  assert.deepEqual(range("90s"), { name: "90s", span: 90 });
  assert.deepEqual(range({ from: 5, to: "2026-01-31T12:00:00" }), { name: null, from: 5, to: 1769860800 });
  assert.deepEqual(range({ from: "1769860800", to: "2026-01-31T14:00:00+01:00" }), { name: null, from: 1769860800, to: 1769864400 });
});

test("a chart's lines: the greatest first, called by what tells them apart", () => {
  const figures = { "a{x=1}": { rate: 1 }, "a{x=2}": { rate: 5 } };
  const labels = (names) => tracksOf(names, () => "counter", figures, null).map(({ label }) => label);
  assert.deepEqual(labels(["a{x=1}", "a{x=2}"]), ["x=2", "x=1"]);
  assert.deepEqual(labels(["a{x=1}", "b"]), ["a{x=1}", "b"]);
  assert.deepEqual(labels(["a"]), ["a"]);
});

test("a board's file is written line by line, under a name that the server takes", () => {
  assert.equal(written({ title: "A", charts: [] }), '{\n  "title": "A",\n  "charts": []\n}\n');
  assert.equal(nameOf("Größe & Zürich: 95 %"), "gro-e-zurich-95");
  assert.equal(nameOf("…"), "board");
  assert.match(nameOf("x".repeat(300)), /^x{60}$/);
});
