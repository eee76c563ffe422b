/**
 * One board: its charts; and what it is written as, to change it, to look at the change, and to save it as a file.
 */
import { get } from "../api.js";
import { fill, h, setText } from "../dom.js";
import { href, stay } from "../place.js";
import { troublePlace, tell } from "../polling.js";
import { BoardChart } from "./chart.js";
import { checked, download, draft, keep, nameOf, written } from "./files.js";

const RANGES = ["5m", "1h", "6h", "1d", "7d"];

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function openBoard(root, place) {
  return new BoardPage(root, place);
}

class BoardPage {
  /**
   * @param {HTMLElement} root
   * @param {import("../place.js").Place} place
   */
  constructor(root, place) {
    this.query = place.query;
    this.name = place.rest[0] ?? "";
    /** @type {import("./question.js").Board | null} */
    this.board = null;
    /** @type {BoardChart[]} */
    this.charts = [];
    this.closed = false;
    this.heading = h("h1", {}, this.name || "A board");
    this.text = h("p", { class: "lead board-lead" });
    this.ranges = h("div", { class: "segments", role: "group", "aria-label": "Time that all charts show" });
    this.editing = h("button", { type: "button", onclick: () => this.say({ edit: this.query.has("edit") ? "" : "1" }) }, "Edit");
    this.trouble = troublePlace();
    this.editor = h("section", { class: "panel pad editor", "aria-label": "The board's file", hidden: true });
    this.grid = h("div", { class: "board-grid" });
    fill(root,
      h("p", { class: "crumbs" }, h("a", { href: href(["boards"]) }, "Boards")),
      h("div", { class: "head-row" }, this.heading, this.ranges, this.editing, h("button", { type: "button", onclick: () => this.save() }, "Save as a file")),
      this.text, this.trouble, this.editor, this.grid);
    this.load();
  }

  async load() {
    const begun = draft();
    try {
      if (this.name) {
        const found = await get(`boards/${encodeURIComponent(this.name)}`);
        this.board = found.board;
        this.file = found.file;
      } else if (begun) {
        this.name = begun.name;
        this.source = begun.text;
        this.board = await checked(begun.text);
      } else tell(this.trouble, "This board was only in this window, which has been loaded anew. Open its file again.");
    } catch (error) {
      tell(this.trouble, /** @type {Error} */ (error).message);
    }
    if (this.closed) return;
    this.source ??= this.board ? written(this.board) : "";
    this.show();
    this.showEditor();
  }

  /** @param {import("../place.js").Place} place */
  change(place) {
    const range = this.query.get("range");
    this.query = place.query;
    if (range !== this.query.get("range")) this.show();
    this.showEditor();
  }

  close() {
    this.closed = true;
    this.closeCharts();
  }

  closeCharts() {
    for (const chart of this.charts) chart.close();
    this.charts = [];
  }

  /** @param {Record<string, string>} fields "" leaves a field out */
  say(fields) {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(fields)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    stay(href(this.query.has("draft") ? ["boards"] : ["boards", this.name], query));
  }

  show() {
    const { board } = this;
    if (!board) return;
    document.title = `${board.title} · Boards · Taba`;
    setText(this.heading, board.title);
    setText(this.text, board.text ?? "");
    this.text.hidden = !board.text;
    this.showRanges();
    this.closeCharts();
    this.charts = (board.charts ?? []).map((chart) => new BoardChart(chart, board, this.query.get("range")));
    fill(this.grid, this.charts.length ? this.charts.map((chart) => chart.element) : h("p", { class: "muted" }, "This board has no charts yet: Edit adds some."));
  }

  showRanges() {
    const chosen = this.query.get("range") ?? "";
    const button = (/** @type {string} */ range, /** @type {string} */ label) =>
      h("button", { type: "button", "aria-pressed": String(range === chosen), onclick: () => this.say({ range }) }, label);
    fill(this.ranges, button("", "as saved"), RANGES.map((range) => button(range, range)));
  }

  showEditor() {
    const open = this.query.has("edit");
    this.editing.setAttribute("aria-pressed", String(open));
    this.editor.hidden = !open;
    if (!open || this.area) return;
    this.area = h("textarea", { spellcheck: "false", rows: 18, "aria-label": "The board as JSON" });
    this.area.value = this.source ?? "";
    this.wrong = troublePlace();
    fill(this.editor, this.area, this.wrong,
      h("div", { class: "row" }, h("button", { type: "button", class: "strong", onclick: () => this.apply() }, "Show"),
        h("p", { class: "muted small" }, "Show draws what is written; nothing is kept on the server. “Save as a file” gives the file.")));
  }

  /** Draw what is written. Whether it is a board is said by the server, as it says it of files. */
  async apply() {
    const text = this.area?.value ?? this.source ?? "";
    const wrong = /** @type {HTMLElement} */ (this.wrong ?? this.trouble);
    try {
      this.board = await checked(text);
    } catch (error) {
      tell(wrong, /** @type {Error} */ (error).message);
      return false;
    }
    tell(wrong, "");
    tell(this.trouble, "");
    this.source = text;
    if (this.query.has("draft")) keep({ name: this.name, text });
    this.show();
    return true;
  }

  /** Give the file, and say where it belongs. */
  async save() {
    if (this.area && !(await this.apply())) return;
    if (!this.board || !this.source) return;
    const name = this.query.has("draft") ? nameOf(this.board.title) : this.name;
    download(`${name}.json`, this.source);
    const { folder } = await get("boards").catch(() => ({ folder: "the folder of boards" }));
    this.note?.remove();
    this.note = h("p", { class: "panel pad saved", role: "status" }, `${name}.json is downloaded. Put it at `, h("code", {}, `${folder}/${name}.json`),
      " on the server, and it is at ", h("a", { href: href(["boards", name]) }, href(["boards", name])), " for everybody.");
    this.trouble.after(this.note);
  }
}
