/**
 * The table below the chart: a row for each line, its figures over the range, and how they differ from the time before.
 */
import { paintKeys } from "../charts/tip.js";
import { fill, h } from "../dom.js";
import { difference } from "../format.js";
import { baseType } from "../globs.js";
import { isText, kindOf, labelOf, mainFigure, shown } from "../kinds.js";
import { MOST } from "./tracks.js";

const COLUMNS = 7;

/**
 * @param {HTMLElement} root
 * @param {import("./tracks.js").Track[]} tracks
 * @param {import("./source.js").Shown} shownNow
 * @param {{figure: string | null, single: boolean, remove: (tab: string) => string | null}} how
 *     `remove`: the address without a tab, null for one that cannot be left out
 */
export function drawLegend(root, tracks, shownNow, { figure, single, remove }) {
  const figures = tracks.map((track) => shownNow.figures[track.tab] ?? null);
  const names = columns(tracks, figures, figure);
  const away = tracks.map((track) => remove(track.tab));
  const layout = JSON.stringify([names, away, single, tracks.map((track) => [track.label, track.colour])]);
  if (root.dataset.layout !== layout) build(root, tracks, names, away, single);
  root.dataset.layout = layout;
  const rows = root.querySelectorAll("tbody tr");
  tracks.forEach((track, index) => {
    const before = shownNow.before?.figures[track.tab];
    names.forEach((name, place) => {
      const value = figures[index]?.[name];
      fill(rows[index].children[place + 1], shown(track.tab, name, value), change(value, before?.[name], Boolean(shownNow.before)));
    });
  });
}

/**
 * Rows without their figures: a link in them stays while figures change, or a click that takes a moment would miss it.
 * @param {HTMLElement} root
 * @param {import("./tracks.js").Track[]} tracks
 * @param {string[]} names
 * @param {(string | null)[]} away
 * @param {boolean} single
 */
function build(root, tracks, names, away, single) {
  const head = h("tr", {}, h("th", { scope: "col" }, "over this time"), names.map((name) => h("th", { scope: "col", class: "number" }, labelOf(name))), h("td", {}));
  const rows = tracks.map((track, index) =>
    h("tr", {},
      h("th", { scope: "row", class: "legend-name" }, !single && index < MOST && h("span", { class: "key", data: { colour: track.colour } }), track.label),
      names.map(() => h("td", { class: "number" })),
      h("td", {}, away[index] && h("a", { href: away[index], class: "quiet", "aria-label": `Leave out ${track.label}`, title: "leave out" }, "✕"))));
  fill(root, h("table", { class: "legend" }, h("thead", {}, head), h("tbody", {}, rows)));
  if (tracks.length > MOST) root.append(h("p", { class: "muted small" }, `The ${MOST} greatest of ${tracks.length} are drawn.`));
  paintKeys(root);
}

/**
 * Which figures are shown: the type's, where all are of one, else each one's main one.
 * @param {import("./tracks.js").Track[]} tracks
 * @param {any[]} figures
 * @param {string | null} figure
 */
function columns(tracks, figures, figure) {
  const types = new Set(tracks.map((track) => baseType(track.type)));
  const sample = figures.find((answer) => answer) ?? null;
  if (types.size > 1) {
    return [...new Set(tracks.map((track, index) => mainFigure(track.type, figures[index], null)))];
  }
  if (isText(sample)) return ["clients"];
  const all = kindOf(tracks[0]?.type ?? "", sample).choices.filter((name) => sample === null || name in sample);
  const chosen = all.slice(0, COLUMNS);
  return figure && !chosen.includes(figure) && all.includes(figure) ? [figure, ...chosen.slice(0, COLUMNS - 1)] : chosen;
}

/**
 * @param {any} now
 * @param {any} before
 * @param {boolean} compared
 */
function change(now, before, compared) {
  if (!compared) return null;
  if (typeof now !== "number" || typeof before !== "number") return h("span", { class: "change" }, "–");
  const text = before === 0 ? (now === 0 ? "±0\u202f%" : "new") : difference((now - before) / Math.abs(before));
  return h("span", { class: "change", title: "against the time before" }, text);
}
