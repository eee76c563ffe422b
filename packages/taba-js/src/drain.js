/**
 * From arrays of recorded values to what frames say. Knows no clock and no connection.
 *
 * Values may be anything, since recording checks nothing. What cannot be sent is dropped and counted, by tab and reason:
 *
 *     wrong_type    neither a number nor, where the tab takes text, text
 *     not_finite    infinite, or not a number
 *     too_long      text of more than 1,024 characters
 *     superseded    a gauge's numbers before a text, or texts before a number
 *     flush_limit   more than may be recorded between two flushes
 *     tab_limit     recorded to tabs beyond the client's limit
 *
 * @typedef {import("./tabs.js").Handle} Handle
 * @typedef {import("./frame.js").Texts} Texts
 * @typedef {import("./frame.js").Drops} Drops
 */

import { encodable, isTooLong } from "./names.js";
import { OVERFLOW } from "./tabs.js";

const NUMBER_TYPES = new Set(["counter", "percentile"]);
const TEXT_TYPES = new Set(["uniques", "top"]);
/** @type {Record<string, string>} */
const SAID = {
  wrong_type: "is of the wrong type",
  not_finite: "is not a finite number",
  too_long: "is longer than 1024 characters",
  superseded: "came before a value of the other kind, number or text",
};

/** What one frame will say, while it is put together. `weight` is about its bytes, rather too many. */
export class Draft {
  constructor() {
    /** @type {string[]} */ this.names = [];
    /** @type {string[]} */ this.types = [];
    /** @type {number[]} */ this.counts = [];
    /** @type {number[][]} */ this.numbers = [];
    /** @type {Texts} */ this.texts = { names: [], types: [], counts: [], values: [] };
    /** @type {Drops | null} */ this.drops = null;
    this.weight = 0;
  }

  /** How many events it accounts for. */
  events() {
    return [this.counts, this.texts.counts, this.drops?.counts ?? []].flat().reduce((sum, count) => sum + count, 0);
  }
}

/**
 * One more count of a tab's, behind the others.
 * @param {{ names: string[], types: string[], counts: number[] }} lists
 * @param {Handle} handle
 * @param {number} count
 */
function append(lists, { tab, type }, count) {
  const last = lists.names.length - 1;
  if (lists.names[last] === tab) {
    lists.counts[last] += count;
  } else {
    lists.names.push(tab);
    lists.types.push(type);
    lists.counts.push(count);
  }
}

/** Takes values out of handles; counts what it drops, and keeps a complaint for each tab. */
export class Drain {
  /** @param {number} frameBytes about the most that a frame holds; what a flush has beyond it goes into further ones */
  constructor(frameBytes) {
    this.frameBytes = frameBytes;
    /** @type {Map<string, [string, string, number]>} */
    this.drops = new Map();
    /** @type {string[]} */
    this.complaints = [];
  }

  /**
   * All values of `handles` in as few frames as hold them; no draft where there are none.
   * @param {Handle[]} handles
   */
  take(handles) {
    /** @type {Draft[]} */
    const drafts = [];
    for (const handle of handles) {
      const { events, lost } = handle.take();
      if (handle.tab === OVERFLOW) {
        this.drop(handle, "tab_limit", events.length + lost, "there are more tabs than a client may have");
        continue;
      }
      if (lost) this.drop(handle, "flush_limit", lost, "more was recorded than one flush takes");
      const { numbers, texts } = this.checked(handle, events);
      this.addNumbers(drafts, handle, numbers);
      this.addTexts(drafts, handle, texts);
    }
    return drafts;
  }

  /**
   * Have drafts say what was dropped, and further ones where these cannot hold it all.
   * @param {Draft[]} drafts
   */
  tellDrops(drafts) {
    for (let place = 0; this.drops.size; place++) {
      if (place === drafts.length) drafts.push(new Draft());
      drafts[place].drops = this.report();
    }
  }

  /** What was dropped, as far as one frame holds it. */
  report() {
    /** @type {Drops} */
    const drops = { names: [], reasons: [], counts: [] };
    let weight = 0;
    for (const [key, [tab, reason, count]] of this.drops) {
      if (weight > this.frameBytes / 4) break;
      this.drops.delete(key);
      weight += weighed(tab) + 40;
      drops.names.push(tab);
      drops.reasons.push(reason);
      drops.counts.push(count);
    }
    return drops;
  }

  /**
   * @param {Handle} handle
   * @param {string} reason
   * @param {number} count
   * @param {string} why
   */
  drop(handle, reason, count, why) {
    const key = `${handle.tab}\n${reason}`;
    this.drops.set(key, [handle.tab, reason, (this.drops.get(key)?.[2] ?? 0) + count]);
    if (handle.warned) return;
    handle.warned = true;
    this.complaints.push(
      `${handle.tab}, type ${handle.type}: dropped ${count} because ${why}; what else is dropped of this tab is only counted`,
    );
  }

  /**
   * The numbers and the texts among recorded values; what is neither, or unfit, is dropped.
   * @param {Handle} handle
   * @param {unknown[]} values
   */
  checked(handle, values) {
    if (!TEXT_TYPES.has(handle.type) && values.every(Number.isFinite)) {
      return { numbers: /** @type {number[]} */ (values), texts: [] };
    }
    const { numbers, texts, bad } = sorted(handle.type, values);
    for (const [reason, { count, example }] of bad) {
      this.drop(handle, reason, count, `${shown(example)} ${SAID[reason]}`);
    }
    return { numbers, texts };
  }

  /**
   * @param {Draft[]} drafts
   * @param {Handle} handle
   * @param {number[]} numbers
   */
  addNumbers(drafts, handle, numbers) {
    const base = 80 + weighed(handle.tab);
    const most = Math.max(1, Math.floor((this.frameBytes - base) / 8));
    for (let at = 0; at < numbers.length; at += most) {
      const some = numbers.length <= most ? numbers : numbers.slice(at, at + most);
      const draft = this.draftFor(drafts, base + 8 * some.length);
      draft.numbers.push(some);
      append(draft, handle, some.length);
    }
  }

  /**
   * @param {Draft[]} drafts
   * @param {Handle} handle
   * @param {string[]} texts
   */
  addTexts(drafts, handle, texts) {
    let base = 80 + weighed(handle.tab);
    for (const text of texts) {
      const size = weighed(text) + 3;
      const before = drafts[drafts.length - 1];
      let draft = this.draftFor(drafts, size + base);
      if (draft === before) draft.weight -= draft.texts.names.at(-1) === handle.tab ? base : 0;
      draft.texts.values.push(text);
      append(draft.texts, handle, 1);
    }
  }

  /**
   * The last draft, if it has room for so many bytes more, else a new one.
   * @param {Draft[]} drafts
   * @param {number} weight
   */
  draftFor(drafts, weight) {
    let draft = drafts[drafts.length - 1];
    if (!draft || (draft.weight && draft.weight + weight > this.frameBytes)) drafts.push((draft = new Draft()));
    draft.weight += weight;
    return draft;
  }
}

/**
 * The numbers, the texts, and what is bad, by reason, with an example.
 * @param {string} type
 * @param {unknown[]} values
 */
function sorted(type, values) {
  /** @type {number[]} */ const numbers = [];
  /** @type {string[]} */ const texts = [];
  /** @type {Map<string, { count: number, example: unknown }>} */ const bad = new Map();
  const drop = (/** @type {string} */ reason, /** @type {number} */ count, /** @type {unknown} */ example) =>
    bad.set(reason, { count: (bad.get(reason)?.count ?? 0) + count, example: bad.get(reason)?.example ?? example });
  /** @type {unknown[]} */ let last = numbers;
  for (const value of values) {
    const fit = TEXT_TYPES.has(type) ? asText(value) : as(type, value);
    if ("reason" in fit) {
      drop(fit.reason, 1, value);
    } else if ("text" in fit) {
      texts.push(fit.text);
      last = texts;
    } else {
      numbers.push(fit.number);
      last = numbers;
    }
  }
  const older = last === texts ? numbers : texts;
  if (type.startsWith("gauge") && older.length) drop("superseded", older.splice(0).length, "what");
  return { numbers, texts, bad };
}

/** @typedef {{ number: number } | { text: string } | { reason: string }} Fit */

/**
 * A value of a type that takes numbers, and perhaps texts.
 * @param {string} type
 * @param {unknown} value
 * @returns {Fit}
 */
function as(type, value) {
  if (typeof value === "string") return NUMBER_TYPES.has(type) ? { reason: "wrong_type" } : asText(value);
  if (typeof value !== "number" && typeof value !== "bigint" && typeof value !== "boolean") return { reason: "wrong_type" };
  const number = Number(value);
  return Number.isFinite(number) ? { number } : { reason: "not_finite" };
}

/**
 * A value of a type that takes texts; a number is written as JavaScript writes it.
 * @param {unknown} value
 * @returns {Fit}
 */
function asText(value) {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint") return { reason: "wrong_type" };
  if (typeof value === "number" && !Number.isFinite(value)) return { reason: "not_finite" };
  const text = String(value);
  return isTooLong(text) ? { reason: "too_long" } : { text: encodable(text) };
}

/**
 * A bad value for a message.
 * @param {unknown} value
 */
const shown = (value) => {
  if (typeof value === "string") return JSON.stringify(value).slice(0, 60);
  return typeof value === "number" || value == null ? String(value) : `a value of type ${typeof value}`;
};

/**
 * At most this many bytes in JSON.
 * @param {string} text
 */
const weighed = (text) => (/^[ !#-[\]-~]*$/.test(text) ? text.length : 6 * text.length);
