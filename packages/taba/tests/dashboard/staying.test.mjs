// A page that stays open: servers that go away meanwhile, a browser whose clock is wrong, hours of figures.
import assert from "node:assert/strict";
import test from "node:test";

const wait = (milliseconds = 0) => new Promise((done) => setTimeout(done, milliseconds));

/** What was asked for, and how it is answered: null is a server that is away. */
const asked = [];
let answering = () => null;
let serverAhead = 0;
const timers = [];

globalThis.window = globalThis;
globalThis.document = Object.assign(new EventTarget(), { hidden: false });
globalThis.requestAnimationFrame = (call) => setTimeout(call);
globalThis.cancelAnimationFrame = clearTimeout;
globalThis.EventSource = class extends EventTarget {
  close() {}
};
globalThis.fetch = async (address) => {
  asked.push(address);
  const body = answering(address);
  if (body === null) throw new TypeError("away");
  return new Response(JSON.stringify(body), { headers: { date: new Date(Date.now() + serverAhead * 1000).toUTCString() } });
};
/** Timers that take seconds are run by hand. */
const real = globalThis.setTimeout;
globalThis.setTimeout = (call, milliseconds = 0) => (milliseconds < 500 ? real(call, milliseconds) : timers.push(call));
const runTimers = () => {
  for (const call of timers.splice(0)) call();
};
/** @param {() => unknown} condition */
const until = async (condition) => {
  for (let turn = 0; !condition() && turn < 1000; turn += 1) await wait(5);
  assert.ok(condition(), String(condition));
};

const { get, now } = await import("../../src/taba/dashboard/api.js");
const catalogue = await import("../../src/taba/dashboard/catalogue.js");
const { asked: read, LATE } = await import("../../src/taba/dashboard/detail/asked.js");
const { Clients } = await import("../../src/taba/dashboard/detail/clients.js");
const { Source } = await import("../../src/taba/dashboard/detail/source.js");
const { parse } = await import("../../src/taba/dashboard/place.js");

const points = { complete_to: 1, clients: { current: 1, known: 1 }, from: 0, to: 10, step: 1, tabs: {} };
const source = (hash) => {
  const told = { shown: null, failed: 0 };
  const opened = new Source(read(parse(hash)), { changed: (shown) => (told.shown = shown), failed: () => (told.failed += 1) });
  return Object.assign(told, { close: () => opened.close(), took: (answer) => opened.took(answer, "1h") });
};

test("a list of tabs that failed once is told again when the server is back", async () => {
  const told = [];
  answering = () => ({ tabs: [{ tab: "a", type: "counter" }], matched: 1 });
  const end = catalogue.follow(() => told.push("list"), () => told.push("failed"));
  await until(() => told.length === 1 && timers.length);
  answering = () => null;
  runTimers();
  await until(() => told.length === 2 && timers.length);
  answering = () => ({ tabs: [{ tab: "a", type: "counter" }], matched: 1 });
  runTimers();
  await until(() => told.length === 3 && timers.length);
  runTimers();
  await until(() => timers.length);
  end();
  timers.length = 0;
  assert.deepEqual(told, ["list", "failed", "list"]);
});

test("the time before, and a stretch of time, are asked for again after the server was away", async () => {
  for (const hash of ["#/tab/a?before=hour", "#/tab/a?from=1000&to=2000"]) {
    answering = () => null;
    const opened = source(hash);
    await until(() => opened.failed === 1 && timers.length);
    answering = () => points;
    runTimers();
    await until(() => opened.shown?.before ?? opened.shown?.series);
    opened.close();
    timers.length = 0;
  }
});

test("what is asked for goes by the server's clock", async () => {
  serverAhead = -7200;
  answering = () => points;
  await get("tabs");
  assert.ok(Math.abs(now() - (Date.now() / 1000 - 7200)) < 3);
  asked.length = 0;
  source("#/tab/a?range=5m&before=hour").close();
  const series = asked.find((address) => address.startsWith("v1/series"));
  const to = Number(new URLSearchParams(series.split("?")[1]).get("to"));
  assert.ok(Math.abs(to - (Date.now() / 1000 - 7200 - 3600)) < 5, series);
  serverAhead = 0;
  await get("tabs");
});

test("how much came late is beside the figures, but where it is what the page is of", async () => {
  const answer = { tabs: { a: { "1h": { total: 5 } }, [LATE]: { "1h": { total: 2 } } } };
  for (const [tab, figures] of [["a", ["a"]], [LATE, ["a", LATE]]]) {
    const opened = source(`#/tab/${tab}`);
    opened.took(answer);
    await until(() => opened.shown);
    assert.deepEqual([Object.keys(opened.shown.figures), opened.shown.late], [figures, 2]);
    opened.close();
  }
});

test("a table that has the focus for hours waits for its end once", () => {
  let listeners = 0;
  const table = { contains: () => true, addEventListener: () => (listeners += 1) };
  const page = Object.assign(Object.create(Clients.prototype), { found: {}, waiting: false, table });
  for (let poll = 0; poll < 3; poll += 1) page.draw();
  assert.equal(listeners, 1);
});
