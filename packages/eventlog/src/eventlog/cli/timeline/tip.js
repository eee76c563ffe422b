// The tip: what a mark stands for, told beside it.

/** Tells of a target beside the mouse, or beside its mark; hides what is told where there is none. */
function tip(target, x, y) {
  const box = byId("tip");
  box.hidden = !target;
  if (!target) return;
  box.replaceChildren(...(target.items.length > 1 ? tipOfMany(target) : tipOfOne(target.items[0])));
  box.style.left = "0"; // where it may be as wide as it likes
  if (x === undefined) {
    const frame = byId("plot").getBoundingClientRect(), [item] = target.items;
    [x, y] = [frame.left + plot.x(item.time), frame.top + (item.lane ? item.lane.middle : 0)];
  }
  const { offsetWidth: wide, offsetHeight: tall } = box;
  box.style.left = `${Math.max(8, Math.min(innerWidth - wide - 8, x + 14))}px`;
  box.style.top = `${y + 18 + tall > innerHeight ? Math.max(4, y - tall - 14) : y + 18}px`;
}

function tipHead(item, told) {
  return element("p", {}, icon(item.type, item.gone), element("b", {}, element("bdi", {}, nameOf(item))), told);
}

function tipOfMany({ items, from, to }) {
  const [item] = items;
  const gone = item.gone ? ` that ${GONE[item.gone].replace("has", "have")}` : "";
  const many = count(items.length, gone ? "root" : "event") + gone;
  const until = dayStart(from) === dayStart(to) ? clock(to) : moment(to);
  return [
    tipHead(item, ""),
    element("p", {}, many),
    element("p", { class: "faint" }, `${moment(from)} – ${until}; click to look closer`),
  ];
}

function tipOfOne(item) {
  const { event, gone, time } = item;
  const faint = text => element("p", { class: "faint" }, text);
  if (gone) return [tipHead(item, ` ${GONE[gone]}`), faint(`${moment(time)}; its children are here`)];
  const told = [day(time), relation(item, model.types)].filter(text => text).join(", ");
  const lines = [...filled(event).slice(0, 8), ...event.notes.map(([name, text]) => [`✎ ${name}`, text])];
  return [
    tipHead(item, ` ${clock(time)}`),
    faint(told),
    ...lines.map(([name, text]) => element("p", { class: "line" }, ...pair(name, text).childNodes)),
  ];
}
