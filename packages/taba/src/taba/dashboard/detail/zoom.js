/**
 * A chart by the keyboard: arrows read values along the time, + and - zoom; a double click zooms out.
 */
import { now } from "../api.js";

/**
 * @param {HTMLElement} root
 * @param {() => import("../charts/plot.js").Plot | null | undefined} plotOf
 * @param {(from: number, to: number) => void} zoom
 */
export function chartKeys(root, plotOf, zoom) {
  root.addEventListener("keydown", (event) => {
    const plot = plotOf();
    if (!plot?.plot || !plot.picture) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (steps !== undefined) move(plot, event.shiftKey ? steps * 10 : steps);
    else if (event.key === "+" || event.key === "=") closer(plot, 0.5, zoom);
    else if (event.key === "-") closer(plot, 2, zoom);
    else if (event.key === "Escape") plot.tip.hide();
    else return;
    event.preventDefault();
  });
  root.addEventListener("dblclick", () => {
    const plot = plotOf();
    if (plot?.picture) closer(plot, 2, zoom);
  });
}

/**
 * @param {import("../charts/plot.js").Plot} plot
 * @param {number} steps
 */
function move(plot, steps) {
  const { axis } = /** @type {import("../charts/plot.js").Picture} */ (plot.picture);
  const last = axis.length - 1;
  const at = plot.tip.index ?? last + (steps < 0 ? 1 : 0);
  const index = Math.min(Math.max(at + steps, 0), last);
  const left = plot.plot.valToPos(axis[index], "x");
  plot.plot.setCursor({ left, top: plot.plot.bbox.height / devicePixelRatio / 2 });
}

/**
 * Zoom around the place that is being read, or the middle.
 * @param {import("../charts/plot.js").Plot} plot
 * @param {number} factor of the time that is seen
 * @param {(from: number, to: number) => void} zoom
 */
function closer(plot, factor, zoom) {
  const { axis, from, to } = /** @type {import("../charts/plot.js").Picture} */ (plot.picture);
  const span = Math.max((to - from) * factor, 2);
  const center = plot.tip.index === null ? (from + to) / 2 : axis[plot.tip.index];
  const stop = Math.min(center + span / 2, now() + 1);
  zoom(stop - span, stop);
}
