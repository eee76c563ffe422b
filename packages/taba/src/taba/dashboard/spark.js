/**
 * Sparklines: a figure over time in the size of a word.
 */
import { svg } from "./dom.js";

const WIDTH = 120;
const HEIGHT = 24;
const MARGIN = 2;

/** @typedef {[number, number | null]} Spot a time and a figure, or null where there is none */

/**
 * The path of a line through spots, broken where a figure is missing. Pure.
 * @param {Spot[]} spots by rising time
 * @param {{from: number, to: number, least?: number, most?: number}} bounds
 * @returns {string} for the attribute d of an SVG path; "" for nothing
 */
export function path(spots, { from, to, least, most }) {
  const figures = spots.map(([, figure]) => figure).filter((figure) => figure !== null);
  if (!figures.length || to <= from) return "";
  const low = least ?? Math.min(...figures, 0);
  const high = most ?? Math.max(...figures, 0);
  const x = (/** @type {number} */ time) => MARGIN + ((time - from) / (to - from)) * (WIDTH - 2 * MARGIN);
  const flat = high === low;
  const y = (/** @type {number} */ figure) =>
    flat ? HEIGHT / 2 : HEIGHT - MARGIN - ((figure - low) / (high - low)) * (HEIGHT - 2 * MARGIN);
  let written = "";
  let drawn = false;
  spots.forEach(([time, figure], index) => {
    if (figure === null) {
      drawn = false;
      return;
    }
    const alone = !drawn && (spots[index + 1]?.[1] ?? null) === null;
    const at = `${x(time).toFixed(1)},${y(figure).toFixed(1)}`;
    // A line of no length has round ends: a dot.
    written += alone ? `M${at}l0.01,0` : `${drawn ? "L" : "M"}${at}`;
    drawn = true;
  });
  return written;
}

/**
 * @param {Spot[]} spots
 * @param {{from: number, to: number, label: string, least?: number, most?: number}} options
 *     `label` says what is seen, for those who do not see it
 * @returns {SVGElement}
 */
export function sparkline(spots, options) {
  const line = svg("path", { d: path(spots, options) });
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": options.label },
    line,
  );
}

/**
 * Points of a series as spots: a slice without a point is one without a figure, the last one is shown once it is over.
 * @param {{time: number, [figure: string]: any}[]} points
 * @param {{from: number, to: number, step: number}} range
 * @param {(point: any) => number | null} figure
 * @param {number | null} [empty] the figure of a slice without events: 0 for what is counted
 * @returns {Spot[]}
 */
export function spots(points, { from, to, step }, figure, empty = null) {
  const found = new Map(points.map((point) => [point.time, figure(point)]));
  /** @type {Spot[]} */
  const all = [];
  for (let time = from; time + step <= to; time += step) all.push([time, found.get(time) ?? empty]);
  return all;
}
