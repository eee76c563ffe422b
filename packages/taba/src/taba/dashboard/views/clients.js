/**
 * The pages "Clients", a table of all of them, and of one client (#/clients/NAME).
 */
import { openClient } from "./client.js";
import { openList } from "./client-list.js";

export const title = "Clients";

/**
 * @param {HTMLElement} root
 * @param {import("../place.js").Place} place
 * @returns {import("../app.js").View}
 */
export function open(root, place) {
  let name = place.rest[0] ?? "";
  let shown = name ? openClient(root, name) : openList(root, place);
  return {
    change(next) {
      const other = next.rest[0] ?? "";
      if (other === name) {
        shown.change(next);
        return;
      }
      shown.close();
      name = other;
      window.scrollTo(0, 0);
      shown = name ? openClient(root, name) : openList(root, next);
    },
    close: () => shown.close(),
  };
}
