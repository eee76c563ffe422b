// What is typed finds the tabs that the server's globs find, and says how it may go on.
import assert from "node:assert/strict";
import test from "node:test";
import { anchored, finder, parsed, split, suggestions } from "../../src/taba/dashboard/globs.js";

const TABS = [
  ["request.ms{region=eu,route=pay}", "percentile"],
  ["request.ms{route=home}", "percentile"],
  ["requests{route=pay}", "counter"],
  ["release", "gauge(60)"],
  ["queue.length", "gauge"],
].map(([tab, type]) => parsed(tab, type));
const found = (typed) => TABS.filter(finder(typed)).map((tab) => tab.tab);

test("a word is found anywhere, in either case", () => {
  assert.deepEqual(found("PAY"), ["request.ms{region=eu,route=pay}", "requests{route=pay}"]);
  assert.deepEqual(found("leng"), ["queue.length"]);
  assert.equal(found("").length, TABS.length);
});

test("globs are over the whole name, with any tags", () => {
  assert.deepEqual(found("request.*"), ["request.ms{region=eu,route=pay}", "request.ms{route=home}"]);
  assert.deepEqual(found("re*e"), ["release"]);
  assert.deepEqual(found("[qx]*"), ["queue.length"]);
  assert.deepEqual(found("[!r]*"), ["queue.length"]);
});

test("tags must be there and fit; one that is being typed fits as far as it goes", () => {
  assert.deepEqual(found("request.*{route=pay}"), ["request.ms{region=eu,route=pay}"]);
  assert.deepEqual(found("{route=p*}"), ["request.ms{region=eu,route=pay}", "requests{route=pay}"]);
  assert.deepEqual(found("{region=eu,route=pay}"), ["request.ms{region=eu,route=pay}"]);
  assert.deepEqual(found("request.ms{reg"), ["request.ms{region=eu,route=pay}"]);
  assert.deepEqual(found("request.ms{route="), ["request.ms{region=eu,route=pay}", "request.ms{route=home}"]);
});

test("several words must all fit, and a type is one of them", () => {
  assert.deepEqual(found("re type:gauge"), ["release"]);
  assert.deepEqual(found("request {route=pay} type:counter"), ["requests{route=pay}"]);
  assert.deepEqual(found("request {route=pay} type:gauge"), []);
  assert.deepEqual(found("re* {route=pay} type:counter"), ["requests{route=pay}"]);
});

test("whatever is typed raises nothing", () => {
  for (const typed of ["{", "}", "[", "[z-a]", "a{b", "a{=", "{,}", "*{", "\\", "(", "[!]", "[^]", "a[!-]"]) assert.ok(Array.isArray(found(typed)), typed);
});

test("an anchored glob is the server's", () => {
  assert.ok(anchored("a.b*").test("a.bcd"));
  assert.ok(!anchored("a.b").test("axb"));
  assert.ok(!anchored("a*").test("a{b}"));
  assert.ok(anchored("[a-c]?").test("bz"));
});

test("suggestions go on by a name's parts, then a tag's key, then its value", () => {
  assert.deepEqual(suggestions("requ", TABS), ["request.*", "requests"]);
  assert.deepEqual(suggestions("request.ms{", TABS), ["request.ms{route=", "request.ms{region="]);
  assert.deepEqual(suggestions("request.ms{route=", TABS), ["request.ms{route=home}", "request.ms{route=pay}"]);
  assert.deepEqual(suggestions("type:gauge rel", TABS), ["type:gauge release"]);
  assert.deepEqual(suggestions("request.ms{route=pay}", TABS), []);
});

test("every suggestion finds something", () => {
  for (const typed of ["r", "re", "q", "request.ms{", "request.ms{r", "*{", "*{route=", "requests{route=p"]) {
    for (const text of suggestions(typed, TABS)) assert.ok(found(text).length, `${typed} -> ${text}`);
  }
});

test("a tab is its name and its tags", () => {
  assert.deepEqual(split("a{x=1,y=2}"), { name: "a", tags: { x: "1", y: "2" } });
  assert.deepEqual(split("a"), { name: "a", tags: {} });
});
