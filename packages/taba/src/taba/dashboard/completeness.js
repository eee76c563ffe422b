/**
 * How complete the answers are that the page shows: at the top of every page.
 */
import { now } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { ago, clock, many, number } from "./format.js";

const WELL_SECONDS = 5;

/**
 * A reader of answers' heads that shows the newest one in `root`.
 * @param {HTMLElement} root
 * @returns {(head: import("./api.js").Head) => void}
 */
export function showCompleteness(root) {
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const text = h("span", {});
  fill(root, dot, text);
  /** @type {import("./api.js").Head | null} */
  let newest = null;
  const tell = () => {
    if (!newest) return;
    const age = Math.max(now() - newest.complete_to, 0);
    const { current, known } = newest.clients;
    const well = age < WELL_SECONDS && current === known;
    dot.dataset.state = well ? "good" : "fair";
    const late = newest.late ? ` · ${number(newest.late)} late` : "";
    setText(text, `${current} of ${known} clients · complete to ${ago(age)}${late}`);
    root.title =
      `Every client that is alive has sent all that it recorded before ${clock(newest.complete_to)}.\n` +
      `${current} of the ${known} clients known in the last hour are heard, with nothing missing.\n` +
      `${many(newest.late, "event")} came late in the last ten minutes; what is late is in the answers.`;
  };
  setInterval(tell, 1000);
  return (head) => {
    const first = newest === null;
    newest = head;
    if (first) tell();
  };
}
