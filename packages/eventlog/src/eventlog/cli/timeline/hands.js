// What mouse, fingers and keys do.

/** What a mark under the mouse stands for. */
function targetOf(node) {
  while (node && !node.target) node = node.parentNode;
  return node?.target ?? null;
}

/** One is selected; of many, the view closes in, until they can't be told apart. */
function press(target) {
  tip(null);
  if (!target) return choose(null, { from: "click" });
  const { items, from, to } = target, apart = to - from;
  if (items.length === 1) return choose(items[0], { from: "click" });
  if (apart > SHORTEST && items.at(-1).time > items[0].time) return look(from - apart * 0.2, to + apart * 0.2);
  const next = items.find(item => item.place > (state.selected?.place ?? -1));
  return choose(next ?? items[0], { from: "click" });
}

/** A press selects, a drag moves the view. */
function listenToPointer(root) {
  let held = null;
  const release = () => {
    root.classList.remove("moving");
    held = null;
  };
  root.addEventListener("pointerdown", event => {
    if (event.button !== 0) return;
    held = { x: event.clientX, view: state.view, moved: false, target: targetOf(event.target) };
  });
  root.addEventListener("pointermove", event => {
    if (!held) {
      const target = targetOf(event.target);
      tip(target, event.clientX, event.clientY);
      return point(target?.items.length === 1 ? target.items[0] : null);
    }
    const across = event.clientX - held.x;
    if (!held.moved && Math.abs(across) < 4) return;
    if (!held.moved) root.setPointerCapture(event.pointerId);
    held.moved = true;
    tip(null);
    root.classList.add("moving");
    const { from, to } = held.view, shift = (across / plot.plain) * (to - from);
    look(from - shift, to - shift);
  });
  root.addEventListener("pointerup", () => {
    if (held && !held.moved) press(held.target);
    release();
  });
  root.addEventListener("pointercancel", release);
  root.addEventListener("pointerleave", () => {
    tip(null);
    point(null);
    if (!held?.moved) held = null;
  });
}

/** The wheel zooms with Ctrl, as a pinch does, and moves where it is turned sideways; else the page scrolls. */
function listenToWheel(root) {
  const timeAt = event => plot.time(event.clientX - root.getBoundingClientRect().left);
  root.addEventListener("dblclick", event => zoom(0.4, timeAt(event)));
  root.addEventListener("wheel", event => {
    const { deltaX, deltaY, shiftKey } = event;
    const across = Math.abs(deltaX) > Math.abs(deltaY) ? deltaX : shiftKey ? deltaY : 0;
    if (!across && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    if (across) move(across / plot.plain);
    else zoom(Math.exp(deltaY * 0.0025), timeAt(event));
  }, { passive: false });
}

/** The strip of the whole time: the view goes where it is pressed. */
function listenToOverview(root) {
  const centre = event => {
    const time = overview.time(event.clientX - root.getBoundingClientRect().left);
    const half = (state.view.to - state.view.from) / 2;
    look(time - half, time + half);
  };
  root.addEventListener("pointerdown", event => {
    root.setPointerCapture(event.pointerId);
    centre(event);
  });
  root.addEventListener("pointermove", event => event.buttons && centre(event));
}

const closer = () => zoom(0.5, state.selected?.time);
const farther = () => zoom(2, state.selected?.time);
const KEYS = {
  "+": closer,
  "=": closer,
  "-": farther,
  "0": () => lookAtAll(),
  PageUp: () => turnDay(false),
  PageDown: () => turnDay(true),
  ArrowRight: event => (event.shiftKey ? move(0.2) : step(true)),
  ArrowLeft: event => (event.shiftKey ? move(-0.2) : step(false)),
  ArrowUp: () => kin(true),
  ArrowDown: () => kin(false),
  Home: () => go(model.events[0]),
  End: () => go(model.events.at(-1)),
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
