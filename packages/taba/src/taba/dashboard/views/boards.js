/**
 * The page "Boards": all of them (#/boards), one of the server's folder (#/boards/NAME), or one that is only here
 * (#/boards?draft=1): opened from a file, or begun on this page.
 */
import { openBoard } from "../board/page.js";
import { openBoards } from "../board/list.js";

export const title = "Boards";

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function open(root, place) {
  let key = keyOf(place);
  let shown = opened(root, place);
  return {
    change(next) {
      if (keyOf(next) === key) {
        shown.change(next);
        return;
      }
      shown.close();
      key = keyOf(next);
      window.scrollTo(0, 0);
      shown = opened(root, next);
    },
    close: () => shown.close(),
  };
}

/** @param {import("../place.js").Place} place */
function keyOf(place) {
  return `${place.query.get("draft") ?? ""}/${place.rest[0] ?? ""}`;
}

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 */
function opened(root, place) {
  return place.rest[0] || place.query.has("draft") ? openBoard(root, place) : openBoards(root);
}
