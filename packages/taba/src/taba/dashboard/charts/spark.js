/**
 * A line of a table row's height, as SVG: many of them cost little.
 */
import { svg } from "../dom.js";

const WIDTH = 120;
const HEIGHT = 24;

/**
 * @param {import("./columns.js").Column} column
 * @param {[number, number]} reach of all rows together, so that they can be told from each other
 * @param {string} colour
 * @returns {SVGElement}
 */
export function spark(column, reach, colour) {
  const line = svg("path", {
    d: path(column, reach, WIDTH, HEIGHT), fill: "none", stroke: `var(${colour})`,
    "stroke-width": 1.3, "vector-effect": "non-scaling-stroke", "stroke-linejoin": "round",
  });
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", preserveAspectRatio: "none", "aria-hidden": "true" }, line);
}

/**
 * The path of a line: holes (null) break it, undefined does not.
 * @param {import("./columns.js").Column} column
 * @param {[number, number]} reach
 * @param {number} width
 * @param {number} height
 */
export function path(column, [low, high], width, height) {
  const [across, up] = [width / Math.max(column.length - 1, 1), (height - 4) / (high - low || 1)];
  let drawn = "";
  let open = false;
  column.forEach((value, index) => {
    if (value === undefined) return;
    if (value === null) {
      open = false;
      return;
    }
    const [x, y] = [index * across, height - 2 - (value - low) * up];
    const lonely = !open && (column[index + 1] === null || column[index + 1] === undefined);
    drawn += `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}${lonely ? "h1.5" : ""}`;
    open = true;
  });
  return drawn;
}
