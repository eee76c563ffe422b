// The page: what is looked at, what is selected, and what mouse and keys change of that.

const byId = id => document.getElementById(id);
const model = modelOf(JSON.parse(byId("data").textContent));
const plot = new Plot(byId("plot"), model), overview = new Overview(byId("overview"), model);
const state = { view: model.whole, selected: null, hovered: null };
const SHORTEST = 200; // microseconds in view
const list = new List({ list: byId("list"), more: byId("more"), counted: byId("shown") }, model, {
  chosen: item => choose(item, { from: "list" }),
  pointed: item => point(item),
});
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
  byId("all").disabled = byId("out").disabled = all;
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
  }
  list.mark(item, "selected");
  if (item && from !== "list") {
    byId("told").textContent = `${titleOf(item)}. ${item.event ? filled(item.event).slice(0, 4).map(pair => pair.join(" ")).join(", ") : ""}`;
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

const titleOf = item => `${item.type === null ? "The root" : model.types[item.type].name}${item.gone ? ` ${GONE[item.gone]}` : ""}, ${moment(item.time)}`;

/** The event before or after the one that is selected; the first or last in view where none is. */
function step(ahead) {
  const { events } = model, { selected, view } = state;
  const at = selected ? (selected.place ?? firstFrom(events, selected.time)) + (ahead ? 1 : -1)
    : ahead ? firstFrom(events, view.from) : firstFrom(events, view.to + 1) - 1;
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

// --- the tip -------------------------------------------------------------------------------------------------------

/** Tells of a mark beside it, or hides what is told. */
function tip(target, x, y) {
  const box = byId("tip");
  box.hidden = !target;
  if (!target) return;
  box.replaceChildren(...tipOf(target));
  box.style.left = "0"; // where it may be as wide as it likes
  if (x === undefined) {
    const frame = byId("plot").getBoundingClientRect(), [item] = target.items;
    [x, y] = [frame.left + plot.x(item.time), frame.top + (item.lane ? item.lane.middle : 0)];
  }
  const { offsetWidth: wide, offsetHeight: tall } = box;
  const left = Math.max(8, Math.min(innerWidth - wide - 8, x + 14));
  box.style.left = `${left}px`;
  box.style.top = `${y + 18 + tall > innerHeight ? Math.max(4, y - tall - 14) : y + 18}px`;
}

function tipOf({ items, from, to }) {
  const [item] = items, name = item.type === null ? "The root" : model.types[item.type].name;
  if (items.length > 1) {
    return [
      element("p", {}, icon(item.type, item.gone), element("b", {}, element("bdi", {}, name))),
      element("p", {}, `${count(items.length, item.gone ? "root" : "event")}${item.gone ? ` that ${GONE[item.gone].replace("has", items.length > 1 ? "have" : "has")}` : ""}`),
      element("p", { class: "faint" }, `${moment(from)} – ${dayStart(from) === dayStart(to) ? clock(to) : moment(to)}; click to zoom in`),
    ];
  }
  const head = element("p", {}, icon(item.type, item.gone), element("b", {}, element("bdi", {}, name)), ` ${item.gone ? GONE[item.gone] : clock(item.time)}`);
  const told = item.gone ? `its children are here, ${day(item.time)}` : [day(item.time), relation(item, model.types)].filter(Boolean).join(", ");
  const lines = [...(item.event ? filled(item.event) : []).slice(0, 8), ...(item.event?.notes ?? []).map(([note, text]) => [`✎ ${note}`, text])];
  return [head, element("p", { class: "faint" }, told), ...lines.map(([key, text]) => element("p", { class: "line" }, ...pair(key, text).childNodes))];
}

// --- mouse and keys ------------------------------------------------------------------------------------------------

const targetOf = node => { while (node && !node.target) node = node.parentNode; return node?.target ?? null; };

/** One is selected; of many, the view closes in, until they can't be told apart. */
function press(target) {
  if (!target) return choose(null, { from: "click" });
  const apart = target.to - target.from;
  tip(null);
  if (target.items.length === 1) return choose(target.items[0], { from: "click" });
  const item = target.items.find(one => one !== state.selected && one.place > (state.selected?.place ?? -1)) ?? target.items[0];
  if (target.items.at(-1).time === target.items[0].time || apart <= SHORTEST) return choose(item, { from: "click" });
  return look(target.from - apart * 0.2, target.to + apart * 0.2);
}

function listenToMouse(root) {
  let held = null;
  root.addEventListener("pointerdown", event => {
    if (event.button === 0) held = { x: event.clientX, view: state.view, moved: false, target: targetOf(event.target), id: event.pointerId };
  });
  root.addEventListener("pointermove", event => {
    if (!held) {
      const target = targetOf(event.target);
      tip(target, event.clientX, event.clientY);
      return point(target?.items.length === 1 ? target.items[0] : null);
    }
    const across = event.clientX - held.x;
    if (!held.moved && Math.abs(across) < 4) return;
    if (!held.moved) root.setPointerCapture(held.id);
    held.moved = true;
    tip(null);
    root.classList.add("moving");
    const { from, to } = held.view, shift = (across / plot.plain) * (to - from);
    look(from - shift, to - shift);
  });
  root.addEventListener("pointerup", () => {
    root.classList.remove("moving");
    if (held && !held.moved) press(held.target);
    held = null;
  });
  root.addEventListener("pointercancel", () => { root.classList.remove("moving"); held = null; });
  root.addEventListener("pointerleave", () => { tip(null); point(null); if (!held?.moved) held = null; });
  root.addEventListener("dblclick", event => zoom(0.4, plot.time(event.clientX - root.getBoundingClientRect().left)));
  root.addEventListener("wheel", event => {
    const across = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.shiftKey ? event.deltaY : 0;
    if (!across && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    if (across) move(across / plot.plain);
    else zoom(Math.exp(event.deltaY * 0.0025), plot.time(event.clientX - root.getBoundingClientRect().left));
  }, { passive: false });
}

function listenToOverview(root) {
  const centre = event => {
    const time = overview.time(event.clientX - root.getBoundingClientRect().left), half = (state.view.to - state.view.from) / 2;
    look(time - half, time + half);
  };
  root.addEventListener("pointerdown", event => { root.setPointerCapture(event.pointerId); centre(event); });
  root.addEventListener("pointermove", event => event.buttons && centre(event));
}

const KEYS = {
  "+": () => zoom(0.5, state.selected?.time), "=": () => zoom(0.5, state.selected?.time), "-": () => zoom(2, state.selected?.time),
  "0": lookAtAll, PageUp: () => turnDay(false), PageDown: () => turnDay(true),
  ArrowRight: event => (event.shiftKey ? move(0.2) : step(true)), ArrowLeft: event => (event.shiftKey ? move(-0.2) : step(false)),
  ArrowUp: () => kin(true), ArrowDown: () => kin(false),
  Home: () => go(model.events[0]), End: () => go(model.events.at(-1)),
  Enter: () => state.selected && choose(state.selected, { from: "keys", focus: true }),
  Escape: () => choose(null, { from: "keys" }),
};

function listenToKeys(root) {
  root.addEventListener("keydown", event => {
    const action = KEYS[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    tip(null);
    action(event);
  });
  root.addEventListener("blur", () => tip(null));
}

// --- the whole -----------------------------------------------------------------------------------------------------

function tellWhatItIs() {
  const { asked, events, rows } = model;
  const gone = state => rows.filter(row => row.root.gone === state).length;
  const kinds = new Set(events.map(item => item.type)).size;
  const told = [count(events.length, "event"), `${kinds} type${kinds === 1 ? "" : "s"}`, count(model.days.length, "day")];
  if (gone("missing")) told.push(`${count(gone("missing"), "root")} not come`);
  if (gone("expired")) told.push(`${count(gone("expired"), "root")} expired`);
  byId("counts").textContent = events.length ? told.join(" · ") : "";
  const only = [
    asked.types.length ? `rows with ${asked.types.join(", ")}` : "",
    asked.since ? `from ${asked.since} on` : "", asked.until ? `before ${asked.until}` : "",
    asked.limit !== null && rows.length >= asked.limit ? `the first ${count(asked.limit, "row")}` : "",
  ].filter(Boolean).join(", ");
  byId("made").textContent = `Read on ${moment(Math.floor(model.made / SECOND) * SECOND)} UTC.${only ? ` Only ${only}.` : ""}`;
  byId("empty").textContent = `There are no events of this user${only ? `: ${only}` : ""}.`;
}

/** What the marks mean beside the types, where there are such. */
function tellMarks() {
  const gone = state => model.rows.some(row => row.root.gone === state && row.root.lane);
  const parts = [
    ...Object.keys(GONE).filter(gone).map(state => [icon(0, state), `a root that ${GONE[state]}`]),
    ...(model.events.some(item => item.event.notes.length) ? [[element("span", { class: "dot" }), "has notes"]] : []),
  ];
  byId("legend").hidden = !parts.length;
  byId("legend").append(...parts.map(part => element("span", {}, ...part)));
}

function begin() {
  tellWhatItIs();
  if (!model.events.length) return void (byId("empty").hidden = false);
  byId("panel").hidden = byId("events").hidden = false;
  tellMarks();
  byId("day").append(element("option", { value: "" }, "Choose a day…"));
  for (const one of model.days) byId("day").append(element("option", { value: one.start }, `${day(one.start)} (${count(one.count, "event")})`));
  byId("day").addEventListener("change", event => (event.target.value ? lookAtDay(Number(event.target.value)) : lookAtAll()));
  byId("day-before").addEventListener("click", () => turnDay(false));
  byId("day-after").addEventListener("click", () => turnDay(true));
  byId("in").addEventListener("click", () => zoom(0.5, state.selected?.time));
  byId("out").addEventListener("click", () => zoom(2, state.selected?.time));
  byId("all").addEventListener("click", lookAtAll);
  listenToMouse(byId("plot"));
  listenToOverview(byId("overview"));
  listenToKeys(byId("plot"));
  new ResizeObserver(() => {
    redraw();
    const panel = byId("panel"), sticks = panel.offsetHeight < innerHeight * 0.6;
    panel.classList.toggle("sticks", sticks);
    document.documentElement.style.setProperty("--panel", sticks ? `${panel.offsetHeight}px` : "0px");
  }).observe(byId("panel"));
  addEventListener("beforeprint", () => list.extend(2000));
  drawNow();
  relist();
}

begin();
