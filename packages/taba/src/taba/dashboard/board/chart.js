/**
 * One chart of a board: its tabs over its range, each in its type's way, several lines in one picture.
 *
 * A browser opens only six connections to a server, and a board may have more charts than that: so they have no streams of
 * their own, and are asked for again every few seconds while they are in sight.
 */
import { get, now } from "../api.js";
import * as catalogue from "../catalogue.js";
import { TabPicture } from "../charts/picture.js";
import { Plot } from "../charts/plot.js";
import { paintKeys } from "../charts/tip.js";
import { MOST, together } from "../detail/tracks.js";
import { fill, h, setText } from "../dom.js";
import { split } from "../globs.js";
import { kindOf, labelOf, mainFigure, shown } from "../kinds.js";
import { href } from "../place.js";
import { every, troublePlace } from "../polling.js";
import { BEFORE, stepFor, written } from "../ranges.js";
import { range, tracksOf } from "./question.js";

const HEIGHTS = { small: 140, medium: 180, large: 260 };
const POINTS = 240;
const LEAST_SECONDS = 2;
const MOST_SECONDS = 60;
/** The time before changes little: it is asked for again after so long. */
const BEFORE_SECONDS = 30;
const OTHERS = 4;
const ROWS = 6;

export class BoardChart {
  /**
   * @param {import("./question.js").Chart} chart
   * @param {import("./question.js").Board} board
   * @param {string | null} chosen a range for all charts of the board
   */
  constructor(chart, board, chosen) {
    this.chart = chart;
    this.height = HEIGHTS[chart.size ?? "medium"];
    this.asked = range(chosen ?? chart.range ?? board.range ?? "1h");
    this.compare = chart.compare ?? board.compare ?? null;
    this.fields = { tab: chart.tabs, by: chart.by ? chart.by.join(",") : undefined, client: chart.client ?? board.client };
    this.trouble = troublePlace();
    this.body = h("div", { class: "board-body" });
    this.told = h("p", { class: "muted small board-told" });
    this.element = h("article", { class: `panel board-chart ${chart.size ?? "medium"}` },
      h("div", { class: "board-head" }, h("h2", {}, h("a", { href: this.link() }, chart.title || chart.tabs.join(", "))), this.told),
      chart.text ? h("p", { class: "muted small board-text" }, chart.text) : null, this.trouble, this.body);
    /** @type {{series: any, figures: any, shift: number} | null} */
    this.before = null;
    this.beforeAt = 0;
    /** @type {(TabPicture | Plot)[]} */
    this.pictures = [];
    this.drawn = "";
    this.polling = /** @type {ReturnType<typeof every> | null} */ (null);
    this.sight = new IntersectionObserver(([entry]) => this.seen(entry.isIntersecting), { rootMargin: "200px" });
    this.sight.observe(this.element);
  }

  close() {
    this.sight.disconnect();
    this.seen(false);
    this.closePictures();
  }

  closePictures() {
    for (const picture of this.pictures) picture.close();
    this.pictures = [];
  }

  /** The page of the chart's tab; where it has several, the tabs that are found. */
  link() {
    const { tabs } = this.chart;
    const one = tabs.length === 1 && !/[*?[]/.test(tabs[0]) ? tabs[0] : null;
    const query = { range: this.asked.name, by: this.fields.by, client: this.fields.client, before: this.compare };
    return one ? href(["tab", one], query) : href([], { q: tabs[0], range: this.asked.name });
  }

  /** @param {boolean} inSight */
  seen(inSight) {
    if (!inSight) {
      this.polling?.close();
      this.polling = null;
    } else if (!this.polling) {
      const seconds = Math.min(Math.max(this.step / 2, LEAST_SECONDS), MOST_SECONDS);
      this.polling = every(this.asked.name === null ? null : seconds, (signal) => this.ask(signal), this.trouble);
    }
  }

  get step() {
    const { from, to } = this.ends();
    return stepFor(to - from, POINTS);
  }

  ends() {
    const { asked } = this;
    return asked.name === null ? asked : { from: now() - asked.span, to: now() };
  }

  /** @param {AbortSignal} signal */
  async ask(signal) {
    const { from, to } = this.ends();
    const [found, before] = await Promise.all([this.over(from, to, signal), this.earlier(from, to, signal)]);
    const names = [...new Set([...Object.keys(found.series.tabs), ...Object.keys(found.figures)])];
    const types = await typesOf(names);
    if (!signal.aborted) this.draw(tracksOf(names, types, found.figures, this.chart.figure ?? null), found, before);
  }

  /**
   * The points of a time, and the figures over the whole of it.
   * @param {number} from
   * @param {number} to
   * @param {AbortSignal} signal
   */
  async over(from, to, signal) {
    const [series, whole] = await Promise.all([
      get("series", { ...this.fields, from, to, step: written(this.step) }, signal),
      get("aggregates", { ...this.fields, from, to }, signal),
    ]);
    const figures = Object.fromEntries(Object.entries(whole.tabs).map(([tab, windows]) => [tab, Object.values(windows)[0]]));
    return { series, figures };
  }

  /**
   * @param {number} from
   * @param {number} to
   * @param {AbortSignal} signal
   */
  async earlier(from, to, signal) {
    if (!this.compare) return null;
    if (!this.before || to - this.beforeAt > BEFORE_SECONDS) {
      const shift = BEFORE[this.compare].seconds;
      this.before = { ...(await this.over(from - shift, to - shift, signal)), shift };
      this.beforeAt = to;
    }
    return this.before;
  }

  /**
   * @param {import("../detail/tracks.js").Track[]} tracks
   * @param {{series: any, figures: any}} found
   * @param {{series: any, figures: any, shift: number} | null} before
   */
  draw(tracks, { series, figures }, before) {
    const layout = tracks.map(({ tab, type }) => `${tab} ${type}`).join("\n");
    if (layout !== this.drawn || !this.body.firstChild) this.build(tracks);
    this.drawn = layout;
    for (const show of this.shows) show(series, figures, before);
    this.tell(tracks, series, figures);
  }

  /**
   * Places for the pictures, and what draws into them.
   * @param {import("../detail/tracks.js").Track[]} tracks
   */
  build(tracks) {
    this.closePictures();
    /** @type {((series: any, figures: any, before: any) => void)[]} */
    this.shows = [];
    const places = [];
    const lines = tracks.filter((track) => kindOf(track.type).draws === "lines");
    const others = tracks.length === lines.length ? [] : tracks.filter((track) => !lines.includes(track));
    if (tracks.length === 0) places.push(h("p", { class: "muted center board-none" }, "Nothing was recorded in this time."));
    if (lines.length === 1) places.push(this.alone(lines[0], others.length > 0));
    if (lines.length > 1) places.push(...this.lines(lines));
    for (const track of others.slice(0, OTHERS)) places.push(this.alone(track, tracks.length > 1));
    if (others.length > OTHERS) places.push(h("p", { class: "muted small" }, `${OTHERS} of ${others.length} are shown.`));
    fill(this.body, places);
  }

  /**
   * @param {import("../detail/tracks.js").Track} track
   * @param {boolean} named whether it has to say which tab it is
   */
  alone(track, named) {
    const place = h("div", { class: "board-picture" });
    const picture = new TabPicture(place, track, { height: this.height, most: ROWS });
    this.pictures.push(picture);
    this.shows.push((series, figures, before) => {
      if (!picture.overTime) return picture.showAnswer(figures[track.tab] ?? null, before?.figures[track.tab]);
      const { from, to, step, complete_to: completeTo } = series;
      picture.showSeries({ points: series.tabs[track.tab] ?? [], from, to, step, completeTo }, {
        figure: this.chart.figure ?? null,
        before: before && { points: before.series.tabs[track.tab] ?? [], shift: before.shift },
      });
    });
    return named ? h("div", {}, h("h3", { class: "small muted" }, track.label), place) : place;
  }

  /** @param {import("../detail/tracks.js").Track[]} tracks */
  lines(tracks) {
    const place = h("div", { class: "board-picture" });
    const plot = new Plot(place, { height: this.height });
    const legend = h("ul", { class: "board-legend small" });
    this.pictures.push(plot);
    this.shows.push((series, figures, before) => {
      plot.draw(together(tracks, series, before, this.chart.figure ?? null));
      showLegend(legend, tracks, figures, this.chart.figure ?? null);
    });
    return [place, legend];
  }

  /**
   * The figures over the range where there is one tab, and how exact they are.
   * @param {import("../detail/tracks.js").Track[]} tracks
   * @param {any} series
   * @param {any} figures
   */
  tell(tracks, series, figures) {
    const errors = [...new Set(tracks.map(({ tab, type }) => (figures[tab] ? kindOf(type, figures[tab]).error(figures[tab]) : "")).filter(Boolean))];
    const [track] = tracks;
    const alone = tracks.length === 1 && figures[track.tab] ? figureText(track, figures[track.tab], this.chart.figure ?? null) : "";
    const span = this.asked.name ?? "then";
    const compared = this.compare ? `, with ${BEFORE[this.compare].label}` : "";
    setText(this.told, [alone, `${span}${compared}`, ...errors.map((error) => (error.startsWith("±") ? error : `counts ${error}`))].filter(Boolean).join(" · "));
  }
}

/**
 * @param {HTMLElement} root
 * @param {import("../detail/tracks.js").Track[]} tracks
 * @param {any} figures
 * @param {string | null} figure
 */
function showLegend(root, tracks, figures, figure) {
  fill(root, tracks.slice(0, MOST).map((track) =>
    h("li", {}, h("span", { class: "key", data: { colour: track.colour } }), h("span", { class: "name" }, track.label), h("span", { class: "muted" }, figures[track.tab] ? figureText(track, figures[track.tab], figure) : "–"))),
    tracks.length > MOST ? h("li", { class: "muted" }, `and ${tracks.length - MOST} more`) : null);
  paintKeys(root);
}

/**
 * @param {{tab: string, type: string}} track
 * @param {any} answer
 * @param {string | null} figure
 */
function figureText({ tab, type }, answer, figure) {
  const name = figure && figure in answer ? figure : mainFigure(type, answer);
  if (typeof answer[name] !== "number") return "";
  return name === "rate" ? shown(tab, name, answer[name]) : `${labelOf(name)} ${shown(tab, name, answer[name])}`;
}

/** @type {Map<string, string>} */
const known = new Map();

/**
 * The types of tabs or groups: all tabs of a name have one.
 * @param {string[]} tabs
 * @returns {Promise<(tab: string) => string>}
 */
async function typesOf(tabs) {
  const missing = [...new Set(tabs.map((tab) => split(tab).name))].filter((name) => !known.has(name));
  if (missing.length) {
    const { tabs: listed } = catalogue.held().matched ? catalogue.held() : await catalogue.load();
    for (const one of listed) known.set(one.name, one.type);
    await Promise.all(missing.filter((name) => !known.has(name)).map(async (name) => {
      const [first] = (await catalogue.fetched(name)).tabs;
      if (first) known.set(name, first.type);
    }));
  }
  return (tab) => known.get(split(tab).name) ?? "";
}
