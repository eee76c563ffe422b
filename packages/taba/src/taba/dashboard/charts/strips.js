/**
 * A gauge of texts over time: a strip for each text, as strong as the share of the clients that hold it.
 */
import { fill, h, svg } from "../dom.js";
import { clock, number } from "../format.js";
import { holders } from "./columns.js";

const WIDTH = 1000;
const HEIGHT = 10;

/**
 * @param {HTMLElement} root
 * @param {{points: import("../merging.js").Point[], from: number, to: number, step: number, completeTo: number}} series
 * @param {{most: number, colour: string}} how
 */
export function drawStrips(root, { points, from, to, step, completeTo }, { most, colour }) {
  const rows = holders(points, most);
  const all = Math.max(1, ...points.map((point) => (point.values ?? []).reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.clients, 0)));
  const scale = WIDTH / (to - from);
  const strips = rows.map(({ value, counts, last }) => {
    const runs = joined(counts, step).map(({ start, stop, clients }) =>
      svg("rect", {
        x: Math.max((start - from) * scale, 0), y: 0, height: HEIGHT,
        width: Math.max((Math.min(stop, to) - Math.max(start, from)) * scale, 1),
        fill: `var(${colour})`, "fill-opacity": (0.25 + 0.75 * (clients / all)).toFixed(2),
      }));
    const late = Math.max(to - completeTo, 0) * scale;
    const shade = svg("rect", { x: WIDTH - late, y: 0, width: late, height: HEIGHT, fill: "var(--incomplete)" });
    const strip = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "strip" }, shade, ...runs);
    return h("div", { class: last ? "strip-row" : "strip-row past" },
      h("span", { class: "strip-name", title: value }, value),
      h("span", { class: "strip-count" }, last ? (all > 1 ? `${number(last)} of ${number(all)} clients` : "now") : "past"),
      strip);
  });
  const ends = h("div", { class: "strip-ends" }, h("span", {}, clock(from)), h("span", {}, clock(to)));
  fill(root, strips.length ? [...strips, ends] : h("p", { class: "muted small center" }, "nothing recorded in this time"));
}

/**
 * Slices with the same number of clients that follow each other, as one. A value holds until the next is recorded, so
 * small holes are none.
 * @param {{time: number, clients: number}[]} counts
 * @param {number} step
 */
export function joined(counts, step) {
  /** @type {{start: number, stop: number, clients: number}[]} */
  const runs = [];
  for (const { time, clients } of counts) {
    const last = runs.at(-1);
    if (last && last.clients === clients && time - last.stop <= 3 * step) last.stop = time + step;
    else {
      if (last && time - last.stop <= 3 * step) last.stop = time;
      runs.push({ start: time, stop: time + step, clients });
    }
  }
  return runs;
}
