/**
 * The most frequent values as horizontal bars, and the last values as a list.
 */
import { fill, h, setText } from "../dom.js";
import { clock, difference, number } from "../format.js";

/**
 * Bars are kept from one answer to the next, so that what stays the same costs nothing.
 * @param {HTMLElement} root
 * @param {any} answer of the type top
 * @param {{most: number, compact?: boolean, colour: string, before?: any}} how
 *     `before`: the answer that counts are compared with; `compact`: values of several lines, as stacks are, on one
 */
export function drawBars(root, answer, { most, compact, colour, before }) {
  const values = (answer?.values ?? []).slice(0, most);
  if (!values.length) return fill(root, h("p", { class: "muted small center" }, "nothing recorded in this time"));
  const rows = /** @type {HTMLElement} */ (root.querySelector("ol.bars") ?? h("ol", { class: "bars" }));
  if (!rows.isConnected) fill(root, rows);
  const highest = values[0].count;
  const earlier = before && new Map(before.values.map((/** @type {any} */ one) => [one.value, one.count]));
  while (rows.children.length > values.length) rows.lastElementChild?.remove();
  values.forEach((/** @type {any} */ one, /** @type {number} */ index) => {
    const row = /** @type {HTMLElement} */ (rows.children[index] ?? rows.appendChild(bar(colour)));
    const share = answer.count ? one.count / answer.count : 0;
    const [first, ...further] = String(one.value).split("\n");
    setText(row.children[1], compact && further.length ? `${first} …` : one.value);
    row.children[1].setAttribute("title", one.value);
    row.children[1].classList.toggle("several-lines", !compact && further.length > 0);
    setText(row.children[2], number(one.count));
    const was = earlier?.get(one.value);
    setText(row.children[3], earlier ? (was ? difference(one.count / was - 1) : "new") : `${number(Math.round(share * 1000) / 10)}\u202f%`);
    const width = `scaleX(${(one.count / highest).toFixed(4)})`;
    const drawn = /** @type {HTMLElement} */ (row.children[0]);
    if (drawn.style.transform !== width) drawn.style.transform = width;
  });
}

/** @param {string} colour */
function bar(colour) {
  const drawn = h("span", { class: "bar-fill" });
  drawn.style.background = `var(${colour})`;
  return h("li", {}, drawn, h("span", { class: "bar-name" }), h("span", { class: "number" }), h("span", { class: "number muted" }));
}

/**
 * @param {HTMLElement} root
 * @param {any} answer of the type buffer
 * @param {number} most
 */
export function drawValues(root, answer, most) {
  const values = (answer?.values ?? []).slice(0, most);
  if (!values.length) return fill(root, h("p", { class: "muted small center" }, "nothing recorded in this time"));
  const rows = values.map((/** @type {any} */ one) =>
    h("li", {},
      h("time", { datetime: new Date(one.time * 1000).toISOString() }, clock(one.time)),
      h("span", { class: "value", title: String(one.value) }, typeof one.value === "number" ? number(one.value) : one.value)));
  fill(root, h("ol", { class: "values" }, rows));
}
