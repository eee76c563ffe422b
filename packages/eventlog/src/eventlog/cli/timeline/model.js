// The data of the page as what is drawn and listed: events in the order of time, lanes by type, days.

const GONE = { missing: "has not come", expired: "has expired" };

/**
 * An item is an event, or the place of a root that is not there (`gone`): {time, type, row, root, gone, event, lane}.
 * `events` are the items that are events, in the order of time; each knows its `place` there.
 */
function modelOf(data) {
  const rows = data.rows.map(row => itemsOf(row, data.types));
  const events = rows.flatMap(row => (row.root.event ? [row.root, ...row.children] : row.children));
  events.sort((one, other) => one.time - other.time);
  events.forEach((item, place) => { item.place = place; });
  const items = rows.flatMap(row => [row.root, ...row.children]).filter(item => item.lane !== null);
  const lanes = lanesOf(data.types, items);
  return { ...data, rows, events, lanes, days: daysOf(events), whole: wholeOf(items) };
}

/** A row with items for its events. Of a root that is not there, only children tell the type. */
function itemsOf(row, types) {
  const above = row.root ? row.root.type : types[row.children[0]?.type]?.parent ?? null;
  const made = { ...row };
  const gone = row.root ? null : row.state;
  made.root = { time: row.time, type: above, row: made, root: true, gone, event: row.root };
  made.children = row.children.map(event => {
    return { time: event.time, type: event.type, row: made, root: false, gone: null, event };
  });
  if (above === null) made.root.lane = null;
  return made;
}

/** A lane for each type: a root's, and those of its children below it. */
function lanesOf(types, items) {
  const lanes = [];
  const add = (type, depth) => {
    if (lanes.some(lane => lane.type === type)) return;
    lanes.push({ type, depth, name: types[type].name, items: [] });
    types.forEach((kind, below) => kind.parent === type && add(below, depth + 1));
  };
  types.forEach((kind, type) => kind.parent === null && add(type, 0));
  types.forEach((_kind, type) => add(type, 0));
  for (const item of items) {
    item.lane = lanes.find(lane => lane.type === item.type);
    item.lane.items.push(item);
  }
  for (const lane of lanes) lane.items.sort((one, other) => one.time - other.time);
  return lanes;
}

/** The days that have events: [{start, count}]. */
function daysOf(events) {
  const days = [];
  for (const { time } of events) {
    const start = dayStart(time), last = days.at(-1);
    if (last?.start === start) last.count += 1;
    else days.push({ start, count: 1 });
  }
  return days;
}

/** From before the first item to after the last. */
function wholeOf(items) {
  const first = items.reduce((least, item) => Math.min(least, item.time), Infinity);
  const last = items.reduce((most, item) => Math.max(most, item.time), 0);
  const edge = last > first ? Math.ceil((last - first) * 0.04) : HOUR;
  return { from: Math.max(0, first - edge), to: last + edge };
}

/** The number of the first item at or after a time; items are in the order of time. */
function firstFrom(items, time) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What is said of a child beside its own fields: how long after its root, or what became of that. */
function relation(item, types) {
  const { root } = item.row;
  if (item.root) {
    const children = item.row.children.length;
    return children ? `with ${count(children, "event")} that ${children === 1 ? "belongs" : "belong"} to it` : "";
  }
  const name = root.type === null ? "root" : types[root.type].name;
  if (root.gone) return `its ${name} ${GONE[root.gone]}`;
  const late = item.time - root.time;
  return late < 0 ? `${lasting(-late)} before its ${name}` : `${lasting(late)} after its ${name}`;
}
