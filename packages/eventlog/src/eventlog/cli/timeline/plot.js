// The drawing: an axis, a lane for each type, marks or bins in it, and lines from roots to their children.

const AXIS = 46, BIN = 7, CLUSTER = 12, MARK = 6.5;
const ROOT_HEIGHT = 54, CHILD_HEIGHT = 44, NAMED = 14; // on a narrow screen a lane's name stands above it
const NARROW = 700, GUTTER = 184, MANY = 8;

/** A rectangle. */
function box(name, x, y, width, height, round = 0) {
  const [left, top, wide, tall] = [x, y, width, height].map(number => number.toFixed(1));
  return svg("rect", { class: name, x: left, y: top, width: wide, height: tall, rx: round });
}

/** The dot of a mark whose event has notes. */
const noted = () => svg("circle", { class: "noted", cx: 6.5, cy: -6.5, r: 2.6 });

/** Draws the model into an SVG. What a mark stands for is its `target`: {items, from, to}. */
class Plot {
  constructor(root, model) {
    this.root = root;
    this.model = model;
  }

  /** Where the lanes are. */
  layout() {
    const width = this.root.clientWidth || 900;
    this.gutter = width > NARROW ? GUTTER : 0;
    const named = this.gutter ? 0 : NAMED, close = this.model.lanes.length > MANY ? 10 : 0;
    this.height = AXIS;
    for (const lane of this.model.lanes) {
      lane.top = this.height;
      lane.height = (lane.depth ? CHILD_HEIGHT : ROOT_HEIGHT) + named - close;
      lane.middle = lane.top + named + (lane.height - named) / 2 + (lane.depth ? -2 : 2);
      this.height += lane.height;
    }
    this.height += 6;
    Object.assign(this, { width, plain: width - this.gutter });
  }

  /** The picture of the times of `view`; `selected` and `hovered` are items or null. */
  draw(view, selected, hovered) {
    this.layout();
    this.view = view;
    this.root.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.root.setAttribute("height", this.height);
    const links = svg("g", { class: "links" }), marks = svg("g"), clip = { "clip-path": "url(#within)" };
    const chosen = [selected, hovered].filter(item => item);
    for (const lane of this.model.lanes) this.fill(lane, marks, links);
    const under = svg("g"), over = svg("g");
    for (const item of chosen) this.family(item, under, over, item === selected ? "selected" : "hovered");
    const within = svg("rect", { x: this.gutter, y: 0, width: this.plain, height: this.height });
    this.root.replaceChildren(
      svg("defs", {}, svg("clipPath", { id: "within" }, within)),
      this.lanes(),
      svg("g", clip, this.axis()),
      svg("g", clip, links, under, marks, over),
      this.labels(),
    );
  }

  x(time) {
    const { from, to } = this.view;
    const x = this.gutter + Math.max(-2, Math.min(3, (time - from) / (to - from))) * this.plain;
    return Math.round(x * 10) / 10;
  }

  time(x) {
    const { from, to } = this.view;
    return from + ((x - this.gutter) / this.plain) * (to - from);
  }

  lanes() {
    const drawn = svg("g");
    for (const lane of this.model.lanes) {
      const { top, middle } = lane;
      if (!lane.depth) drawn.append(svg("line", { class: "edge", x1: 0, x2: this.width, y1: top, y2: top }));
      drawn.append(svg("line", { class: "rail", x1: this.gutter, x2: this.width, y1: middle, y2: middle }));
    }
    return drawn;
  }

  labels() {
    const drawn = svg("g", { class: "labels" });
    for (const lane of this.model.lanes) {
      const y = this.gutter ? lane.middle : lane.top + 13;
      const x = 8 + lane.depth * 18, shown = this.gutter ? 18 - lane.depth * 2 : 40;
      const elbow = { class: "elbow", d: `M${x - 10} ${y - 11}V${y}H${x - 3}` };
      if (lane.depth && this.gutter) drawn.append(svg("path", elbow));
      drawn.append(mark(lane.type, x + 7, y, 5.5));
      const name = lane.name.length > shown ? lane.name.slice(0, shown - 1) + "…" : lane.name;
      const text = svg("text", { x: x + 20, y: y + 4 }, name);
      drawn.append(svg("g", {}, svg("title", {}, lane.name), text));
    }
    return drawn;
  }

  axis() {
    const { from, to } = this.view, drawn = svg("g", { class: "axis" });
    const { marks, eras: above } = ticks(from, to, ((to - from) * 74) / this.plain);
    for (const { at, text } of marks) {
      const x = this.x(at).toFixed(1);
      drawn.append(svg("line", { x1: x, x2: x, y1: AXIS - 8, y2: this.height }));
      if (x > this.gutter + 16 && x < this.width - 16) drawn.append(svg("text", { x, y: AXIS - 13 }, text));
    }
    const starts = above.map(({ at }) => Math.max(this.gutter, this.x(at)));
    above.forEach(({ at, texts }, place) => {
      const x = starts[place], room = (starts[place + 1] ?? this.width) - x - 12;
      if (at > from) drawn.append(svg("line", { class: "era", x1: x, x2: x, y1: 2, y2: this.height }));
      const told = texts.find(text => text.length * 7.3 < room);
      if (told) drawn.append(svg("text", { class: "era", x: (x + 6).toFixed(1), y: 14 }, told));
    });
    return drawn;
  }

  /** A lane's items that are in view: as bins where they are many, else as marks. */
  fill(lane, marks, links) {
    const { from, to } = this.view;
    const first = firstFrom(lane.items, from), last = firstFrom(lane.items, to + 1);
    if (last - first > Math.max(60, this.plain / 8)) return this.bins(lane, first, last, marks);
    if (lane.depth) links.append(...lane.items.slice(first, last).map(item => this.link(item)));
    return this.marks(lane, first, last, marks);
  }

  bins(lane, first, last, marks) {
    const { from, to } = this.view, step = stepOf(((to - from) * BIN) / this.plain);
    const bins = [];
    for (let place = first; place < last; place += 1) {
      const start = Math.floor(lane.items[place].time / step) * step;
      if (bins.at(-1)?.from !== start) bins.push({ from: start, to: start + step, items: [] });
      bins.at(-1).items.push(lane.items[place]);
    }
    const most = Math.max(...bins.map(bin => bin.items.length));
    const bottom = lane.top + lane.height - 5, room = lane.height - (this.gutter ? 20 : 26);
    for (const bin of bins) {
      const x = this.x(bin.from), width = Math.max(1, this.x(bin.to) - x - 1);
      const height = Math.max(2, (bin.items.length / most) * room);
      const bar = box(`bin ${colourOf(lane.type)}`, x, bottom - height, width, height, 1);
      bar.target = bin;
      marks.append(bar);
    }
    const told = `up to ${count(most, "event")} in ${lasting(step)}`;
    marks.append(svg("text", { class: "most", x: this.width - 6, y: lane.top + 12 }, told));
  }

  /** Marks; those that would hide one another are one, with their number. */
  marks(lane, first, last, marks) {
    const y = lane.middle, groups = [];
    for (let place = first; place < last; place += 1) {
      const item = lane.items[place], x = this.x(item.time), before = groups.at(-1);
      if (before && x - before.x < CLUSTER && before.items[0].gone === item.gone) before.items.push(item);
      else groups.push({ x, items: [item] });
    }
    for (const { x, items } of groups) {
      const drawn = mark(lane.type, x, y, items.length > 1 ? MARK + 1.5 : MARK, items[0].gone);
      drawn.classList.add("one");
      if (items.length > 1) drawn.append(svg("text", { class: "many", y: -11 }, String(items.length)));
      if (items.some(item => item.event?.notes.length)) drawn.append(noted());
      drawn.target = { items, from: items[0].time, to: items.at(-1).time };
      marks.append(drawn);
    }
  }

  /** The line of a child from its root. */
  link(item) {
    const { root } = item.row;
    if (!root.lane || root === item) return svg("g");
    const x = this.x(root.time), y = root.lane.middle, toX = this.x(item.time), toY = item.lane.middle;
    const run = toY - 11 - (item.place % 3) * 3; // above the marks that lie between, and not all at one height
    const bend = Math.min(10, Math.abs(toX - x) / 2), turn = bend * Math.sign(toX - x);
    const path = `M${x} ${y}V${run - bend}Q${x} ${run} ${x + turn} ${run}H${toX - turn}Q${toX} ${run} ${toX} ${toY}`;
    return svg("path", { class: `link ${colourOf(item.type)}${root.gone ? " gone" : ""}`, d: path });
  }

  /** An item with all of its row: lines under the marks, its own marks over them. */
  family(item, under, over, how) {
    const { root, children } = item.row;
    const few = children.length > 200 ? children.filter(child => child === item) : children;
    const inView = one => one.lane && one.time >= this.view.from && one.time <= this.view.to;
    under.append(svg("g", { class: how }, ...few.map(child => this.link(child))));
    const group = svg("g", { class: how });
    for (const one of [root, ...few].filter(inView)) {
      const drawn = mark(one.type, this.x(one.time), one.lane.middle, MARK, one.gone);
      if (one === item) drawn.prepend(svg("circle", { class: "halo", r: 12 }));
      if (one.event?.notes.length) drawn.append(noted());
      drawn.target = { items: [one], from: one.time, to: one.time };
      group.append(drawn);
    }
    over.append(group);
  }
}

/** The whole time as a strip, with a window where the plot looks. */
class Overview {
  constructor(root, model) {
    this.root = root;
    this.model = model;
  }

  draw(view, gutter) {
    const all = this.root.clientWidth || 900, width = all - gutter, height = 34, { from, to } = this.model.whole;
    Object.assign(this, { gutter, width });
    this.root.setAttribute("viewBox", `${-gutter} 0 ${all} ${height}`);
    const part = time => Math.max(0, Math.min(1, (time - from) / (to - from)));
    const bars = new Array(Math.ceil(width / 4)).fill(0), last = bars.length - 1;
    for (const { time } of this.model.events) bars[Math.min(last, Math.floor(part(time) * bars.length))] += 1;
    const most = Math.max(...bars);
    const drawn = bars.map((many, place) => {
      const tall = many ? Math.max(2, (many / most) * (height - 8)) : 0;
      return box("bar", place * 4, height - 3 - tall, 3, tall);
    });
    const x = part(view.from) * width, wide = Math.max(4, part(view.to) * width - x);
    const frame = box("window", x + 1, 1, wide - 2, height - 2, 4);
    const ground = box("ground", 0, 0, width, height, 6);
    this.root.replaceChildren(ground, ...drawn.filter((_bar, place) => bars[place]), frame);
  }

  time(x) {
    const { from, to } = this.model.whole;
    return from + ((x - this.gutter) / this.width) * (to - from);
  }
}
