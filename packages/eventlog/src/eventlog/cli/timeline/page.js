// The page: what is looked at, what is selected, and what is said of the whole.

const byId = id => document.getElementById(id);
const model = modelOf(JSON.parse(byId("data").textContent));
const plot = new Plot(byId("plot"), model), overview = new Overview(byId("overview"), model);
const state = { view: model.whole, selected: null, hovered: null };
const SHORTEST = 200; // microseconds in view
const parts = { list: byId("list"), more: byId("more"), earlier: byId("earlier"), counted: byId("shown") };
const list = new List(parts, model, { chosen: item => choose(item, { from: "list" }), pointed: item => point(item) });
let drawing = 0, listing = 0;

// --- what is looked at ---------------------------------------------------------------------------------------------

/** Looks at the times from `from` to `to`, within what there is. */
function look(from, to) {
  const { whole } = model, most = whole.to - whole.from;
  const span = Math.max(SHORTEST, Math.min(most, to - from));
  const centre = (from + to) / 2;
  const start = Math.max(whole.from, Math.min(whole.to - span, centre - span / 2));
  state.view = { from: Math.round(start), to: Math.round(start + span) };
  redraw();
  clearTimeout(listing);
  listing = setTimeout(relist, 120);
}

/** Zooms around a time that stays where it is; a factor below 1 looks closer. */
function zoom(factor, around = (state.view.from + state.view.to) / 2) {
  const { from, to } = state.view;
  look(around - (around - from) * factor, around + (to - around) * factor);
}

function move(part) {
  const span = state.view.to - state.view.from;
  look(state.view.from + span * part, state.view.to + span * part);
}

const lookAtAll = () => look(model.whole.from, model.whole.to);

/** Looks at a whole day, even where the events are of a part of it. */
function lookAtDay(start) {
  const { whole } = model;
  whole.from = Math.min(whole.from, start);
  whole.to = Math.max(whole.to, start + DAY);
  look(start, start + DAY);
}

/** The next day that has events, before or after what is in view. */
function turnDay(ahead) {
  const { from, to } = state.view;
  const isDay = to - from === DAY;
  const found = ahead
    ? model.days.find(one => one.start >= (isDay ? to : dayStart(from)))
    : model.days.findLast(one => one.start < (isDay ? from : dayStart(to) + 1));
  if (found) lookAtDay(found.start);
}

function redraw() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(drawNow);
}

function drawNow() {
  plot.draw(state.view, state.selected, state.hovered);
  overview.draw(state.view, plot.gutter);
  byId("span").textContent = spanned(state.view.from, state.view.to);
  const isDay = state.view.to - state.view.from === DAY && dayStart(state.view.from) === state.view.from;
  byId("day").value = isDay ? String(state.view.from) : "";
  const all = state.view.from <= model.whole.from && state.view.to >= model.whole.to;
  for (const id of ["all", "out"]) byId(id).setAttribute("aria-disabled", String(all)); // which keeps the focus
}

function relist() {
  list.show(state.view);
  list.mark(state.selected, "selected");
}

// --- what is selected ----------------------------------------------------------------------------------------------

/** Selects an item; from the keys or the plot, the view and the list follow. */
function choose(item, { from, focus = false }) {
  state.selected = item;
  const { view } = state;
  if (item && (item.time < view.from || item.time > view.to)) {
    const span = view.to - view.from;
    look(item.time - span / 2, item.time + span / 2);
    clearTimeout(listing);
    relist();
    if (from === "list") list.reveal(item, true); // its line is another one now
  }
  list.mark(item, "selected");
  if (item && from !== "list") {
    byId("told").textContent = spoken(item);
    if (from === "click" || focus) list.reveal(item, focus);
  }
  redraw();
}

function point(item) {
  if (item === state.hovered) return;
  state.hovered = item;
  list.mark(item, "hovered");
  redraw();
}

const nameOf = item => (item.type === null ? "The root" : model.types[item.type].name);
const titleOf = item => `${nameOf(item)}${item.gone ? ` ${GONE[item.gone]}` : ""}, ${moment(item.time)}`;

/** An item for who does not see it: what it is, and the first of its fields. */
function spoken(item) {
  const fields = item.event ? filled(item.event).slice(0, 4).map(pair => pair.join(" ")).join(", ") : "";
  return `${titleOf(item)}. ${fields}`;
}

/** The event before or after the one that is selected; the first or last in view where none is. */
function step(ahead) {
  const { events } = model, { selected, view } = state;
  let at = ahead ? firstFrom(events, view.from) : firstFrom(events, view.to + 1) - 1;
  if (selected) at = (selected.place ?? firstFrom(events, selected.time)) + (ahead ? 1 : -1);
  go(events[Math.max(0, Math.min(events.length - 1, at))]);
}

/** Selects an item and tells of it, as the keys do. */
function go(item) {
  choose(item, { from: "keys" });
  drawNow();
  tip({ items: [item], from: item.time, to: item.time });
}

function kin(up) {
  const { selected } = state;
  const item = up ? selected?.row.root : selected?.row.children[0];
  if (item?.lane) go(item);
}

// --- the whole -----------------------------------------------------------------------------------------------------

function tellWhatItIs() {
  const { asked, events, rows } = model;
  const gone = state => rows.filter(row => row.root.gone === state).length;
  const kinds = new Set(events.map(item => item.type));
  const told = [count(events.length, "event"), count(kinds.size, "type"), count(model.days.length, "day")];
  if (gone("missing")) told.push(`${count(gone("missing"), "root")} not come`);
  if (gone("expired")) told.push(`${count(gone("expired"), "root")} expired`);
  byId("counts").textContent = events.length ? told.join(" · ") : "";
  const only = [
    asked.types.length ? `rows with ${asked.types.join(", ")}` : "",
    asked.since ? `from ${asked.since} on` : "",
    asked.until ? `before ${asked.until}` : "",
    asked.limit === null ? "" : `at most ${count(asked.limit, "row")}`,
  ].filter(Boolean).join(", ");
  const made = moment(Math.floor(model.made / SECOND) * SECOND);
  byId("made").textContent = `Read on ${made} UTC.${only ? ` Only ${only}.` : ""}`;
  byId("empty").textContent = `There are no events of this user${only ? `: ${only}` : ""}.`;
}

/** What the marks mean beside the types, where there are such. */
function tellMarks() {
  const gone = state => model.rows.some(row => row.root.gone === state && row.root.lane);
  const parts = [
    ...Object.keys(GONE).filter(gone).map(state => [icon(0, state), `a root that ${GONE[state]}`]),
  ];
  if (model.events.some(item => item.event.notes.length)) parts.push([element("span", { class: "dot" }), "has notes"]);
  byId("legend").hidden = !parts.length;
  byId("legend").append(...parts.map(part => element("span", {}, ...part)));
}

function begin() {
  tellWhatItIs();
  if (!model.events.length) return void (byId("empty").hidden = false);
  byId("panel").hidden = byId("events").hidden = false;
  tellMarks();
  byId("day").append(element("option", { value: "" }, "Choose a day…"));
  for (const one of model.days) {
    byId("day").append(element("option", { value: one.start }, `${day(one.start)} (${count(one.count, "event")})`));
  }
  byId("day").addEventListener("change", () => {
    if (byId("day").value) lookAtDay(Number(byId("day").value));
    else lookAtAll();
  });
  byId("day-before").addEventListener("click", () => turnDay(false));
  byId("day-after").addEventListener("click", () => turnDay(true));
  byId("in").addEventListener("click", closer);
  byId("out").addEventListener("click", farther);
  byId("all").addEventListener("click", lookAtAll);
  listenToPointer(byId("plot"));
  listenToWheel(byId("plot"));
  listenToOverview(byId("overview"));
  listenToKeys(byId("plot"));
  new ResizeObserver(() => {
    redraw();
    const panel = byId("panel"), sticks = panel.offsetHeight < innerHeight * 0.6;
    panel.classList.toggle("sticks", sticks);
    document.documentElement.style.setProperty("--panel", sticks ? `${panel.offsetHeight}px` : "0px");
  }).observe(byId("panel"));
  addEventListener("beforeprint", () => list.extend(list.first + 2000));
  drawNow();
  relist();
}

begin();
