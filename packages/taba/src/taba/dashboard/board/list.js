/**
 * All boards: those of the server's folder and those that come with Taba; and ways to get another one.
 */
import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { go, href } from "../place.js";
import { every, tell, troublePlace } from "../polling.js";
import { keep, nameOf, written } from "./files.js";

const SECONDS = 5;
const MOST_BYTES = 256 * 1024;

/**
 * @param {HTMLElement} root
 * @returns {import("../app.js").View}
 */
export function openBoards(root) {
  const trouble = troublePlace();
  const wrong = troublePlace();
  const list = h("ul", { class: "boards" });
  const where = h("p", { class: "muted" });
  const picker = h("input", { type: "file", accept: ".json,application/json", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  const opening = (/** @type {File | undefined} */ file) => openFile(file).catch((error) => tell(wrong, error.message));
  picker.addEventListener("change", () => opening(picker.files[0]));
  fill(root,
    h("div", { class: "head-row" }, h("h1", {}, "Boards"),
      h("button", { type: "button", onclick: () => picker.click() }, "Open a file…"), picker,
      h("button", { type: "button", class: "strong", onclick: begin }, "New board")),
    h("p", { class: "lead" }, "A board is charts under a title, in a file that can be kept in git: whoever has its address sees the same."),
    trouble, wrong, list, where);
  const dropping = dropZone(root, opening);
  let before = "";
  const polling = every(SECONDS, async (signal) => {
    const found = await get("boards", {}, signal);
    const told = JSON.stringify(found);
    if (told === before) return;
    before = told;
    fill(list, found.boards.map(row));
    fill(where, "A file ", h("code", {}, `${found.folder}/NAME.json`), " on the server becomes the board NAME at once. Drop a file here to look at it first.",
      found.left_out ? ` ${number(found.left_out)} further boards are not listed.` : null);
  }, trouble);
  return {
    change() {},
    close() {
      polling.close();
      dropping.close();
    },
  };
}

/** @param {any} board */
function row(board) {
  if (board.error) {
    return h("li", { class: "panel pad board-row" }, h("h2", {}, board.name), h("p", { class: "problem" }, `${board.file}: ${board.error}`));
  }
  const count = `${number(board.charts)} ${board.charts === 1 ? "chart" : "charts"}`;
  return h("li", { class: "panel pad board-row" }, h("h2", {}, h("a", { href: href(["boards", board.name]) }, board.title)),
    h("p", { class: "muted small" }, h("code", {}, board.name), ` · ${count}`));
}

/** Begin a board of one's own. */
function begin() {
  const board = { title: "A new board", range: "1h", charts: [{ title: "Everything", tabs: ["*"], size: /** @type {"large"} */ ("large") }] };
  keep({ name: nameOf(board.title), text: written(board) });
  go(href(["boards"], { draft: "1", edit: "1" }));
}

/** @param {File | undefined} file */
async function openFile(file) {
  if (!file) return;
  if (file.size > MOST_BYTES) throw new Error(`${file.name} has more than ${MOST_BYTES / 1024} KB, which is the most that a board may have`);
  keep({ name: file.name.replace(/\.json$/i, ""), text: await file.text() });
  go(href(["boards"], { draft: "1" }));
}

/**
 * Files that are dropped anywhere on the page.
 * @param {HTMLElement} root
 * @param {(file: File | undefined) => void} take
 */
function dropZone(root, take) {
  const stop = new AbortController();
  const { signal } = stop;
  const over = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    root.classList.add("dropping");
  };
  const leave = () => root.classList.remove("dropping");
  document.addEventListener("dragover", over, { signal });
  document.addEventListener("dragleave", leave, { signal });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    leave();
    take(event.dataTransfer?.files[0]);
  }, { signal });
  return {
    close() {
      leave();
      stop.abort();
    },
  };
}
