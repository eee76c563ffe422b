/**
 * Making elements. Text is always set as text, so nothing that was recorded is ever read as HTML.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element. `class` is its classes, `data` its data attributes, `on…` its listeners; true is an attribute without a
 * value, false and null none.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {any} the HTMLElement, of whatever kind the tag is
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAll(element, attributes);
  element.append(...children.flat().filter(present).map(asNode));
  return element;
}

/**
 * The same in SVG.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Node} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAll(element, attributes);
  element.append(...children);
  return element;
}

/**
 * Replace what an element holds.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(present).map(asNode));
}

/**
 * Set an element's text where it differs: unchanged text costs no layout.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Runs `call` once, `milliseconds` after the last time that it was asked for.
 * @template {any[]} T
 * @param {(...given: T) => void} call
 * @param {number} milliseconds
 * @returns {((...given: T) => void) & {cancel: () => void}}
 */
export function settled(call, milliseconds) {
  let timer = 0;
  const later = (/** @type {T} */ ...given) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => call(...given), milliseconds);
  };
  return Object.assign(later, { cancel: () => clearTimeout(timer) });
}

/** @param {Child} child */
function present(child) {
  return child !== null && child !== undefined && child !== false;
}

/** @param {any} child */
function asNode(child) {
  return child instanceof Node ? child : String(child);
}

/**
 * @param {Element} element
 * @param {Record<string, any>} attributes
 */
function setAll(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(/** @type {HTMLElement} */ (element).dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}
