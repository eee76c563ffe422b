/**
 * The page "Tab".
 */
import { fill, h } from "../dom.js";

export const title = "Tab";

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function open(root, place) {
  fill(root, h("h1", {}, title));
  return {
    change(place) {},
    close() {},
  };
}
