/**
 * Lines over time, drawn by uPlot: what all charts share of axes, colours, shading and the pointer.
 */
import { h } from "../dom.js";
import { apart } from "../format.js";
import { faint, token } from "./colours.js";
import { reach } from "./columns.js";
import { Tip } from "./tip.js";

/** uPlot, or null where it has not been put into the package. @type {any} */
export const uPlot = await import("../vendor/uPlot.esm.js").then(
  (module) => module.default,
  () => null,
);

const MISSING = "Charts need uPlot, which is not in this installation: run `make setup` and start the server again.";
/** Room at the right of a chart, and how wide a letter of an axis is, in pixels. */
const [RIGHT, LETTER] = [6, 6.3];
/** Steps of an axis of bytes. */
const BINARY = Array.from({ length: 56 }, (_, power) => 2 ** power);
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * @typedef {object} Drawn
 * @property {string} label
 * @property {string} colour   a custom property's name
 * @property {import("./columns.js").Column} column
 * @property {"main" | "also" | "edge"} role
 * @property {number} [over]   index of the line that a band goes down to
 * @property {boolean} [dashed]
 * @property {boolean} [filled] down to 0
 * @property {"step" | "line"} path
 * @property {(value: number) => string} [text]  the value for people
 */
/**
 * @typedef {object} Picture
 * @property {number[]} axis
 * @property {number} from
 * @property {number} to
 * @property {number} step
 * @property {number} completeTo
 * @property {Drawn[]} lines
 * @property {(value: number, digits?: number) => string} text   a value on the axis
 * @property {boolean} [binary]   whether values are bytes, whose round numbers are powers of two
 */

export class Plot {
  /**
   * @param {HTMLElement} root which it fills
   * @param {{height: number, compact?: boolean, zoom?: (from: number, to: number) => void}} how
   *     `zoom` is called with a stretch that was dragged over
   */
  constructor(root, { height, compact = false, zoom }) {
    this.root = root;
    this.height = height;
    this.compact = compact;
    this.zoom = zoom;
    /** @type {any} */
    this.plot = null;
    this.kind = "";
    /** @type {Picture | null} */
    this.picture = null;
    this.tip = new Tip(root);
    this.themed = () => this.rebuild();
    document.addEventListener("taba-theme", this.themed);
    this.sized = new ResizeObserver(() => this.resize());
    this.sized.observe(root);
    if (!uPlot) root.append(h("p", { class: "muted small" }, MISSING));
  }

  close() {
    document.removeEventListener("taba-theme", this.themed);
    this.sized.disconnect();
    this.tip.close();
    this.plot?.destroy();
    this.plot = null;
  }

  /** @param {Picture} picture */
  draw(picture) {
    this.picture = picture;
    if (!uPlot || !this.root.clientWidth) return;
    const kind = JSON.stringify(picture.lines.map(({ label, colour, role, over, dashed, filled, path }) =>
      [label, colour, role, over, dashed, filled, path]));
    if (!this.plot || kind !== this.kind) {
      this.kind = kind;
      this.build(picture);
    } else {
      this.plot.setData(data(picture));
      this.tip.again(this.plot, picture);
    }
  }

  rebuild() {
    if (this.picture && this.plot) this.build(this.picture);
  }

  resize() {
    const width = this.root.clientWidth;
    if (!width || !this.picture) return;
    if (!this.plot) this.draw(this.picture);
    else if (this.plot.width !== width) this.plot.setSize({ width, height: this.height });
  }

  /** @param {Picture} picture */
  build(picture) {
    this.plot?.destroy();
    this.plot = new uPlot(this.options(picture), data(picture), this.root);
  }

  /**
   * @param {Picture} picture
   * @returns {any} what uPlot is told
   */
  options(picture) {
    const compact = this.compact;
    const axis = axisStyle();
    return {
      width: this.root.clientWidth,
      height: this.height,
      padding: compact ? [6, RIGHT, 0, 0] : [10, RIGHT, 0, 0],
      legend: { show: false },
      series: [{}, ...picture.lines.map((line) => series(line, compact))],
      bands: bands(picture.lines),
      scales: {
        x: { time: true, range: () => [this.picture?.from ?? 0, this.picture?.to ?? 1] },
        y: { range: () => reach(this.picture?.lines.map((line) => line.column) ?? []) },
      },
      axes: [
        { ...axis, size: 22, space: compact ? 70 : 90, gap: 4, values: timeLabels },
        {
          ...axis,
          space: compact ? 26 : 40,
          gap: 5,
          ...(picture.binary ? { incrs: BINARY } : {}),
          values: (/** @type {any} */ _, /** @type {number[]} */ splits) => apart(splits, (value, digits) => this.picture?.text(value, digits) ?? ""),
          size: (/** @type {any} */ _, /** @type {string[] | null} */ texts) => 14 + LETTER * Math.max(3, ...(texts ?? []).map((text) => text.length)),
        },
      ],
      cursor: {
        y: false,
        drag: { x: Boolean(this.zoom), y: false, setScale: false, dist: 4 },
        points: { size: 6, width: 1.5, show: !compact || undefined },
      },
      hooks: {
        drawClear: [(/** @type {any} */ plot) => this.shade(plot)],
        setCursor: [(/** @type {any} */ plot) => this.picture && this.tip.at(plot, this.picture)],
        setSelect: [(/** @type {any} */ plot) => this.select(plot)],
      },
    };
  }

  /** What is not complete yet lies on a ground of its own. @param {any} plot */
  shade(plot) {
    const { completeTo, to, step } = /** @type {Picture} */ (this.picture);
    if (completeTo >= to) return;
    const { left, top, width, height } = plot.bbox;
    const start = Math.max(plot.valToPos(Math.floor(completeTo / step) * step, "x", true), left);
    const { ctx } = plot;
    ctx.save();
    ctx.fillStyle = token("--incomplete");
    ctx.fillRect(start, top, left + width - start, height);
    ctx.restore();
  }

  /** @param {any} plot */
  select(plot) {
    const { left, width } = plot.select;
    if (!width || !this.zoom) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (to - from >= 1) this.zoom(from, to);
  }
}

/**
 * What uPlot draws: with one more time at the end, up to which the last step of a line goes.
 * @param {Picture} picture
 */
function data({ axis, step, lines }) {
  if (!axis.length) return [axis, ...lines.map((line) => line.column)];
  const end = axis[axis.length - 1] + step;
  return [[...axis, end], ...lines.map(({ column, path }) => [...column, path === "step" ? column[column.length - 1] : null])];
}

/**
 * @param {Drawn} line
 * @param {boolean} compact
 */
function series(line, compact) {
  const colour = token(line.colour);
  const edge = line.role === "edge";
  return {
    label: line.label,
    stroke: edge ? faint(colour, 0.35) : colour,
    width: edge ? (compact ? 0 : 1) : compact ? 1.25 : 1.5,
    dash: line.dashed ? [5, 4] : undefined,
    fill: line.filled ? faint(colour, 0.14) : undefined,
    paths: line.path === "step" ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear(),
    points: { show: lonely, size: 4, fill: colour, stroke: colour },
  };
}

/**
 * Points that no line leads to or from are shown as dots: uPlot asks for the indices.
 * @param {any} plot
 * @param {number} index
 */
function lonely(plot, index) {
  const column = plot.data[index];
  let count = 0;
  for (const value of column) if (value !== null && value !== undefined && (count += 1) > 1) return false;
  return count === 1;
}

/** @param {Drawn[]} lines */
function bands(lines) {
  return lines
    .map((line, index) => ({ line, index }))
    .filter(({ line }) => line.over !== undefined)
    .map(({ line, index }) => ({
      series: [index + 1, /** @type {number} */ (line.over) + 1],
      fill: faint(token(line.colour), line.over === 0 ? 0.24 : 0.12),
    }));
}

function axisStyle() {
  return {
    stroke: token("--muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: token("--grid"), width: 1 },
    ticks: { show: false },
    border: { show: false },
  };
}

/**
 * A label that the right edge would cut off waits until its time has moved on.
 * @param {any} plot
 * @param {number[]} splits
 * @param {number} _axis
 * @param {number} _space
 * @param {number} increment
 */
function timeLabels(plot, splits, _axis, _space, increment) {
  const { min, max } = plot.scales.x;
  const perPixel = (max - min) / (plot.bbox.width / devicePixelRatio || plot.width);
  return timeTexts(splits, increment).map((text, index) =>
    (max - splits[index]) / perPixel + RIGHT < (text.length * LETTER) / 2 ? "" : text);
}

/**
 * @param {number[]} splits
 * @param {number} increment
 */
function timeTexts(splits, increment) {
  return splits.map((time) => {
    const date = new Date(time * 1000);
    const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
    const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
    if (increment >= 86400 || (minutes === "00:00" && date.getSeconds() === 0)) return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
    return increment < 60 ? `${minutes}:${two(date.getSeconds())}` : minutes;
  });
}
