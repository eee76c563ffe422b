/**
 * Tabs as a program holds them: one handle for each, and the registry that hands them out.
 *
 * Recording appends to an array and looks at how much room is left; nothing is checked, and nothing is written out.
 */

import { checkName, written } from "./names.js";

export const OVERFLOW = "taba.client.tab_limit";
/** The name under which events of tabs beyond the limit are counted as dropped. */

/** A text takes as much room as a number for each 2^3 of its characters. */
const CHARACTERS_SHIFT = 3;

/**
 * What all handles of a client share: how much may still be recorded before the next flush.
 * @typedef {{ left: number }} Room
 */

/** One tab of a client. Between two flushes `events` holds what was recorded, and `lost` how much there was no room for. */
export class Handle {
  /**
   * @param {string} tab
   * @param {string} type
   * @param {Room} room
   */
  constructor(tab, type, room) {
    this.tab = tab;
    this.type = type;
    /** @type {unknown[]} */
    this.events = [];
    this.lost = 0;
    this.warned = false;
    this.room = room;
  }

  /**
   * Record one value. Never throws: what cannot be sent is dropped and counted when it is flushed.
   * @param {unknown} value
   */
  record(value) {
    const room = this.room;
    if (room.left <= 0) {
      this.lost++;
      return;
    }
    room.left -= typeof value === "string" ? 1 + (value.length >> CHARACTERS_SHIFT) : 1;
    this.events.push(value);
  }

  /** Take what was recorded. */
  take() {
    const { events, lost } = this;
    if (events.length) this.events = [];
    this.lost = 0;
    return { events, lost };
  }
}

/** A counter's tab. */
export class Counter extends Handle {
  /**
   * Count: `add()` is one event of the value 1.
   * @param {number} [value]
   */
  add(value = 1) {
    this.record(value);
  }
}

/** A gauge's tab. */
export class Gauge extends Handle {
  /**
   * The gauge's value from now on: a number or a text.
   * @param {number | string} value
   */
  set(value) {
    this.record(value);
  }
}

/** The handles of one client, by tab. */
export class Registry {
  /**
   * @param {Record<string, unknown>} tags of every tab
   * @param {number} tabLimit how many tabs there may be; one handle stands for all beyond it
   * @param {number} flushLimit how much may be recorded between two flushes: numbers, or eight characters of text each
   */
  constructor(tags, tabLimit, flushLimit) {
    this.tags = tags;
    this.tabLimit = tabLimit;
    this.flushLimit = flushLimit;
    /** @type {Room} */
    this.room = { left: flushLimit };
    /** @type {Map<string, Handle>} */
    this.byTab = new Map();
    /** @type {Map<string, string>} */
    this.types = new Map();
    /** @type {Handle | null} */
    this.overflow = null;
  }

  /**
   * The handle of a tab, the same each time. Throws a RangeError for a name or a key that breaks the rules, and for a
   * second type of one name.
   * @template {Handle} Kind
   * @param {new (tab: string, type: string, room: Room) => Kind} Made
   * @param {string} name
   * @param {string} type
   * @param {Record<string, unknown>} [tags]
   * @returns {Kind}
   */
  handle(Made, name, type, tags) {
    const tab = written(checkName(name), { ...this.tags, ...tags });
    const known = this.types.get(name) ?? type;
    if (known !== type) throw new RangeError(`${name} is of type ${known} in this client and cannot be of type ${type} too`);
    const found = this.byTab.get(tab);
    if (found) return /** @type {Kind} */ (found);
    if (this.byTab.size >= this.tabLimit) return this.beyond(Made);
    const made = new Made(tab, type, this.room);
    this.byTab.set(tab, made);
    this.types.set(name, type);
    return made;
  }

  /**
   * What stands for all tabs beyond the limit.
   * @template {Handle} Kind
   * @param {new (tab: string, type: string, room: Room) => Kind} Made
   * @returns {Kind}
   */
  beyond(Made) {
    this.overflow ??= new Handle(OVERFLOW, "dropped", this.room);
    const one = new Made(OVERFLOW, "dropped", this.room);
    one.record = this.overflow.record.bind(this.overflow);
    return one;
  }

  /** The handles that hold or lost anything. */
  active() {
    const all = this.overflow ? [...this.byTab.values(), this.overflow] : [...this.byTab.values()];
    return all.filter((one) => one.events.length || one.lost);
  }

  /** There is room for the next flush. */
  renew() {
    this.room.left = this.flushLimit;
  }
}
