/**
 * What the cards on the screen show, as it changes: two streams for all of them together, one of points and one of
 * figures over windows.
 */
import { follow } from "../live.js";
import { kindOf } from "../kinds.js";
import { stepFor, written } from "../ranges.js";
import { WINDOWS } from "./card.js";

const POINTS = 120;
/** Drawing takes so long in a frame at most, so that scrolling and typing come in between. */
const FRAME_MS = 8;

/** @typedef {import("./card.js").Card} Card */

export class Feed {
  /** @param {(error: Error) => void} failed what is told of a question that is refused */
  constructor(failed) {
    this.failed = failed;
    /** @type {Map<string, Card>} */
    this.cards = new Map();
    /** @type {{close: () => void}[]} */
    this.streams = [];
    /** @type {Map<"series" | "windows", Set<string> | null>} */
    this.dirty = new Map();
    this.frame = 0;
    this.from = 0;
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.dirty.clear();
    for (const stream of this.streams) stream.close();
    this.streams = [];
  }

  /**
   * Follow these cards, and no others.
   * @param {Map<string, Card>} cards
   * @param {number} span seconds that the pictures show
   */
  ask(cards, span) {
    this.close();
    this.cards = cards;
    if (!cards.size) return;
    const tabs = [...cards.values()].map((card) => card.tab);
    const overTime = tabs.filter((tab) => kindOf(tab.type).draws === "lines").map((tab) => `=${tab.tab}`);
    const failed = { refused: this.failed };
    if (overTime.length) {
      const fields = { tab: overTime, span: written(span), step: written(stepFor(span, POINTS)) };
      this.streams.push(follow({ of: "series", fields }, { ...failed, answer: (answer, changed) => this.take("series", answer, changed) }));
    }
    const fields = { tab: tabs.map((tab) => `=${tab.tab}`), window: WINDOWS.join(",") };
    this.streams.push(follow({ of: "aggregates", fields }, { ...failed, answer: (answer, changed) => this.take("windows", answer, changed) }));
  }

  /**
   * Draw what has changed at the next frame; pictures that only have to move on wait until they move by a slice.
   * @param {"series" | "windows"} what
   * @param {any} answer
   * @param {string[] | null} changed
   */
  take(what, answer, changed) {
    if (what === "series") {
      this.series = answer;
      if (answer.from !== this.from) changed = null;
      this.from = answer.from;
    } else {
      this.windows = answer;
    }
    const before = this.dirty.get(what);
    this.dirty.set(what, changed === null || before === null ? null : new Set([...(before ?? []), ...changed]));
    this.later();
  }

  later() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  /** Draw what has changed, as much as fits into a frame; the rest in the next. */
  draw() {
    const end = performance.now() + FRAME_MS;
    for (const [what, changed] of this.dirty) {
      const left = new Set(changed ?? this.cards.keys());
      for (const name of left) {
        if (performance.now() > end) {
          this.dirty.set(what, left);
          return this.later();
        }
        left.delete(name);
        const card = this.cards.get(name);
        if (card) this.show(what, card, name);
      }
      this.dirty.delete(what);
    }
  }

  /**
   * @param {"series" | "windows"} what
   * @param {Card} card
   * @param {string} name
   */
  show(what, card, name) {
    if (what === "windows") return card.showWindows(this.windows.tabs[name]);
    const { from, to, step, complete_to: completeTo, tabs } = this.series;
    card.showSeries({ points: tabs[name] ?? [], from, to, step, completeTo });
  }
}
