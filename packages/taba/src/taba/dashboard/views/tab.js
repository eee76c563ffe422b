/**
 * The page of one tab: a large chart with everything that it can be asked, its figures, and its clients.
 */
import { now as serverNow } from "../api.js";
import * as catalogue from "../catalogue.js";
import { TabPicture } from "../charts/picture.js";
import { Plot } from "../charts/plot.js";
import { asked as read, changed } from "../detail/asked.js";
import { Clients } from "../detail/clients.js";
import { drawControls } from "../detail/controls.js";
import { drawLegend } from "../detail/legend.js";
import { Source, WINDOWS } from "../detail/source.js";
import { together, tracks } from "../detail/tracks.js";
import { chartKeys } from "../detail/zoom.js";
import { fill, h, setText } from "../dom.js";
import { ago, clock, many, roughly } from "../format.js";
import { baseType, split } from "../globs.js";
import { isText, kindOf, labelOf, shown } from "../kinds.js";
import { go, href } from "../place.js";

export const title = "Tab";
const HEIGHT = 340;
const ROWS = 20;

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function open(root, place) {
  return new TabPage(root, place);
}

class TabPage {
  /**
   * @param {HTMLElement} root
   * @param {import("../place.js").Place} place
   */
  constructor(root, place) {
    this.root = root;
    this.asked = read(place);
    this.turn = 0;
    this.change(place);
  }

  close() {
    this.turn += 1;
    this.source?.close();
    this.clients?.close();
    this.picture?.close();
    this.plot?.close();
    this.picture = this.plot = this.source = this.clients = null;
  }

  /** @param {import("../place.js").Place} place */
  async change(place) {
    this.close();
    this.asked = read(place);
    const turn = this.turn;
    document.title = `${this.asked.tab} · Taba`;
    try {
      const names = [this.asked.tab, ...this.asked.also];
      const found = await Promise.all([...names.map((name) => catalogue.find(name)), catalogue.held().matched || catalogue.load()]);
      if (turn !== this.turn) return;
      this.types = new Map(names.map((name, index) => [name, /** @type {any} */ (found[index])?.type]));
      if (this.types.get(this.asked.tab)) this.build();
      else this.unknown();
    } catch (error) {
      if (turn === this.turn) this.fail(/** @type {Error} */ (error));
    }
  }

  unknown() {
    fill(this.root, h("section", { class: "empty" }, h("h1", {}, "There is no such tab"), h("p", { class: "mono" }, this.asked.tab),
      h("a", { class: "button", href: href([], { q: split(this.asked.tab).name }) }, "Look for one like it")));
  }

  build() {
    const { tab } = this.asked;
    const { name, tags } = split(tab);
    const type = this.typeOf(tab);
    this.controls = h("div", { class: "toolbar controls" });
    this.problem = h("div", {});
    this.chart = h("div", { class: "chart", tabindex: 0, role: "img", "aria-describedby": "chart-told" });
    this.told = h("p", { class: "muted small chart-told", id: "chart-told" });
    this.legend = h("div", { class: "scroll" });
    this.windows = h("div", { class: "scroll" });
    this.windowsTitle = h("h2", {}, "Windows that end now");
    const clients = h("section", { class: "panel padded", "aria-label": "Clients" });
    fill(this.root,
      h("div", { class: "tab-head" },
        h("a", { class: "small", href: href([]), "aria-label": "All tabs" }, "← Tabs"),
        h("h1", {}, name), h("span", { class: "badge", data: { type: baseType(type) } }, type),
        Object.entries(tags).map(([key, value]) => h("a", { class: "tag", href: href([], { q: `${name}{${key}=${value}}` }) }, h("b", {}, `${key}=`), value))),
      this.controls, this.problem,
      h("section", { class: "panel padded", "aria-label": "Chart" }, this.chart, this.told, this.legend),
      h("div", { class: "halves" }, clients,
        h("section", { class: "panel padded", "aria-label": "Windows" }, this.windowsTitle, this.windows)));
    drawControls(this.controls, this.asked, type, null);
    this.single = this.asked.by === null && !this.asked.also.length;
    this.drawn = "";
    const zoom = (/** @type {number} */ from, /** @type {number} */ to) => this.zoom(from, to);
    if (this.single) this.picture = new TabPicture(this.chart, { tab, type }, { height: HEIGHT, most: ROWS, zoom });
    else this.plot = new Plot(this.chart, { height: HEIGHT, zoom });
    chartKeys(this.chart, () => this.picture?.plot ?? this.plot, zoom);
    this.source = new Source(this.asked, { changed: (now) => this.draw(now), failed: (error) => this.fail(error) });
    this.clients = new Clients(clients, this.asked, type);
  }

  /** @param {string} tab */
  typeOf(tab) {
    return this.types?.get(tab) ?? "";
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  zoom(from, to) {
    go(changed(this.asked, { from: String(Math.floor(from)), to: String(Math.ceil(to)) }));
  }

  /** @param {import("../detail/source.js").Shown} now */
  draw(now) {
    const { asked } = this;
    fill(/** @type {HTMLElement} */ (this.problem));
    if (now.series) this.drawChart(now);
    const all = tracks(asked, now.figures, now.series, (tab) => this.typeOf(tab));
    this.own(now.figures[asked.tab] ?? now.series?.tabs[asked.tab]?.at(-1) ?? null);
    drawLegend(/** @type {HTMLElement} */ (this.legend), all, now, {
      figure: asked.figure, single: this.single,
      remove: (tab) => (asked.also.includes(tab) ? changed(asked, { tab: asked.also.filter((one) => one !== tab) }) : null),
    });
    setText(this.windowsTitle, this.single || !all.length ? "Windows that end now" : `Windows that end now, of ${all[0].label}`);
    this.drawWindows(now.windows[all[0]?.tab ?? ""] ?? {});
    this.tell(now, all);
  }

  /** A type of one's own is known by its answers, so what can be chosen is known with the first. @param {any} sample */
  own(sample) {
    const type = this.typeOf(this.asked.tab);
    if (!sample || this.drawn === type || this.controls?.contains(document.activeElement)) return;
    this.drawn = type;
    if (!kindOf(type).choices.length) drawControls(/** @type {HTMLElement} */ (this.controls), this.asked, type, sample);
  }

  /** @param {import("../detail/source.js").Shown} now */
  drawChart(now) {
    const { asked } = this;
    const { series, before } = now;
    if (this.plot) {
      const all = tracks(asked, now.figures, series, (tab) => this.typeOf(tab));
      this.plot.draw(together(all, series, before, asked.figure));
      return;
    }
    if (!this.picture?.overTime) {
      this.picture?.showAnswer(now.figures[asked.tab], before?.figures[asked.tab]);
      return;
    }
    const { from, to, step, complete_to: completeTo } = series;
    const points = series.tabs[asked.tab] ?? [];
    this.picture.showSeries({ points, from, to, step, completeTo }, {
      figure: asked.figure, before: before && { points: before.series.tabs[asked.tab] ?? [], shift: before.shift },
    });
  }

  /** @param {Record<string, any>} windows */
  drawWindows(windows) {
    const { tab } = this.asked;
    const answers = WINDOWS.map((window) => windows[window]);
    const sample = answers.find((answer) => answer) ?? null;
    const names = isText(sample) ? ["clients"] : kindOf(this.typeOf(tab), sample).choices.filter((name) => !sample || name in sample);
    const head = h("tr", {}, h("th", {}, h("span", { class: "unseen" }, "figure")), WINDOWS.map((window) => h("th", { scope: "col", class: "number" }, window)));
    const rows = names.map((name) => h("tr", {}, h("th", { scope: "row" }, labelOf(name)), answers.map((answer) => h("td", { class: "number" }, shown(tab, name, answer?.[name])))));
    fill(/** @type {HTMLElement} */ (this.windows), h("table", { class: "windows" }, h("thead", {}, head), h("tbody", {}, rows)));
  }

  /**
   * How complete the picture is, and how exact.
   * @param {import("../detail/source.js").Shown} now
   * @param {import("../detail/tracks.js").Track[]} all
   */
  tell(now, all) {
    if (!now.series || !this.told) return;
    const { complete_to: complete, clients, step } = now.series;
    const errors = new Set(all.map((track) => now.figures[track.tab] && kindOf(track.type, now.figures[track.tab]).error(now.figures[track.tab])).filter(Boolean));
    const parts = [
      `complete to ${clock(complete)} (${ago(Math.max(serverNow() - complete, 0))})`,
      `${clients.current} of ${clients.known} clients`,
      ...[...errors].map((error) => (String(error).startsWith("±") ? `sketch's error ${error}` : `counts ${error}`)),
      now.late ? `${many(now.late, "event")} came late, of all tabs` : "no event came late",
      `a point is ${roughly(step)}`,
    ];
    setText(this.told, parts.join(" · "));
    const span = `${clock(now.series.from)} to ${clock(now.series.to)}`;
    this.chart?.setAttribute("aria-label", `${all.map((track) => track.label).slice(0, 8).join(", ")} from ${span}. Arrow keys read values, plus and minus zoom.`);
  }

  /** @param {Error} error */
  fail(error) {
    fill(this.problem?.isConnected ? this.problem : this.root, h("p", { class: "problem", role: "alert" }, error.message));
  }
}
