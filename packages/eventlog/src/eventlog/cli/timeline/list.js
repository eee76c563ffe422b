// The list below: the events that are in view, in the order of time, each child below its root.

const LINES = 200; // shown at once

/** Shows lines of a view; tells `chosen(item)` and `pointed(item or null)`. */
class List {
  constructor(parts, model, { chosen, pointed }) {
    Object.assign(this, parts, { model, chosen, pointed, lines: [], drawn: new Map(), open: new Set() });
    this.list.addEventListener("toggle", event => this.toggled(event.target), true);
    this.list.addEventListener("pointerover", event => this.pointed(this.itemOf(event.target)));
    this.list.addEventListener("pointerleave", () => this.pointed(null));
    this.list.addEventListener("focusin", event => this.pointed(this.itemOf(event.target)));
    this.more.addEventListener("click", () => this.extend(this.shown + LINES));
    this.earlier.addEventListener("click", () => this.start(this.first - LINES));
  }

  itemOf(node) {
    return node.closest?.("li")?.item ?? null;
  }

  /** Shows what is in view. */
  show(view) {
    this.lines = linesOf(this.model.rows, view);
    this.inView = this.lines.filter(({ item }) => item?.event && item.time >= view.from && item.time <= view.to).length;
    this.start(0);
  }

  /** Shows lines from a place on. */
  start(place) {
    this.drawn.clear();
    this.list.replaceChildren();
    this.first = this.shown = Math.max(0, place);
    this.extend(this.first + LINES);
  }

  /** Shows lines up to a place. */
  extend(place) {
    const upTo = Math.min(place, this.lines.length);
    for (; this.shown < upTo; this.shown += 1) this.list.append(this.line(this.lines[this.shown]));
    this.more.hidden = upTo === this.lines.length;
    this.earlier.hidden = !this.first;
    const all = this.model.events.length, part = this.inView === all ? "" : `${this.inView.toLocaleString("en")} of `;
    const some = !this.more.hidden || !this.earlier.hidden;
    const left = some ? `, lines ${(this.first + 1).toLocaleString("en")} to ${upTo.toLocaleString("en")} shown` : "";
    this.counted.textContent = `${part}${count(all, "event")}${left}`;
  }

  /** Brings an item into sight and opens it. */
  reveal(item, focus = false) {
    const place = this.lines.findIndex(line => line.item === item);
    if (place < 0) return;
    if (place < this.first || place >= this.shown) this.start(place - 20);
    const line = this.drawn.get(item);
    const details = line.querySelector("details");
    if (details) details.open = true;
    line.scrollIntoView({ block: "nearest" });
    if (focus) (line.querySelector("summary") ?? line).focus();
  }

  /** Marks the line of an item, and no other. */
  mark(item, how) {
    for (const line of this.list.querySelectorAll(`.${how}`)) line.classList.remove(how);
    this.drawn.get(item)?.classList.add(how);
  }

  toggled(details) {
    const item = this.itemOf(details);
    if (!details.open) return void this.open.delete(item);
    if (!details.querySelector("dl")) details.append(fieldsOf(item, this.model.types));
    if (this.open.has(item)) return; // it was open before, and is listed anew
    this.open.add(item);
    this.chosen(item);
  }

  line({ item, heading }) {
    if (heading !== undefined) return element("li", { class: "day" }, element("h3", {}, heading));
    const line = element("li", { class: item.root ? "root" : "child" });
    line.item = item;
    this.drawn.set(item, line);
    if (item.gone) {
      line.classList.add("gone");
      line.append(icon(item.type, item.gone), element("time", {}, clock(item.time)), this.goneText(item));
      return line;
    }
    const details = element("details", {}, summaryOf(item, this.model.types));
    line.append(details);
    if (this.open.has(item)) details.open = true;
    return line;
  }

  goneText({ type, gone }) {
    const name = type === null ? "The root" : this.model.types[type].name;
    return element("span", {}, element("bdi", {}, name), ` ${GONE[gone]}`);
  }
}

/** The lines of a view: headings of days, rows of which anything is in view, of their children those that are. */
function linesOf(rows, { from, to }) {
  const lines = [], inView = item => item.time >= from && item.time <= to;
  let last = null;
  for (const row of rows) {
    const children = row.children.filter(inView);
    if (!children.length && !inView(row.root)) continue;
    if (dayStart(row.time) !== last) {
      last = dayStart(row.time);
      lines.push({ heading: longDay(last) });
    }
    lines.push({ item: row.root }, ...children.map(item => ({ item })));
  }
  return lines;
}

function summaryOf(item, types) {
  const { event, row } = item;
  const away = !item.root && dayStart(item.time) !== dayStart(row.time);
  const values = filled(event).slice(0, 6).map(([name, text]) => pair(name, text));
  const noteOf = ([name, text]) => element("span", { class: "note" }, "✎ ", ...pair(name, text).childNodes);
  const notes = event.notes.map(noteOf);
  return element("summary", {},
    icon(item.type),
    element("time", {}, away ? moment(item.time) : clock(item.time)),
    element("b", {}, element("bdi", {}, types[item.type].name)),
    element("span", { class: "values" }, ...values),
    notes.length ? element("span", { class: "notes" }, ...notes) : null,
  );
}

const filled = event => event.fields.filter(([_name, text]) => text !== "" && text !== "[]" && text !== "{}");
const cut = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

/** A name and its value in one line. */
function pair(name, text) {
  const value = element("bdi", {}, cut(text, 80));
  return element("span", { class: "pair" }, element("bdi", { class: "name" }, name), " ", value);
}

/** All fields and notes of an event, and what it is. */
function fieldsOf(item, types) {
  const { event, time, row } = item, told = relation(item, types);
  const lines = [
    ...event.fields,
    ...event.notes.map(([name, text]) => [`✎ ${name}`, text]),
    ["time", `${longDay(time)}, ${clock(time)} UTC`],
    ...(told ? [[item.root ? "row" : "root", told]] : []),
    ["version", String(event.version)],
    ["id", event.id],
    ...(item.root ? [] : [["id of the root", row.id]]),
  ];
  const list = element("dl");
  for (const [name, text] of lines) {
    const value = element("bdi", {}, text === "" ? "“”" : text);
    list.append(element("dt", {}, element("bdi", {}, name)), element("dd", {}, value));
  }
  return list;
}
