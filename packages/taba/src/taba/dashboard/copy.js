/**
 * Code that a reader may want to have: shown, with a button that copies it.
 */
import { h, setText } from "./dom.js";

const TOLD_MS = 1500;

/**
 * @param {string} code
 * @param {string} what it is, for the button's name
 * @returns {HTMLElement}
 */
export function snippet(code, what) {
  const button = h("button", { type: "button", class: "quiet copy", "aria-label": `Copy ${what}` }, "Copy");
  const shown = h("pre", { tabindex: "0", "aria-label": what }, code);
  button.addEventListener("click", async () => {
    setText(button, (await copied(code)) ? "Copied" : "Select it");
    if (button.textContent !== "Copied") window.getSelection()?.selectAllChildren(shown);
    setTimeout(() => setText(button, "Copy"), TOLD_MS);
  });
  return h("div", { class: "snippet" }, shown, button);
}

/**
 * Whether a text is on the clipboard now. A page that came over plain HTTP from another machine may not write there.
 * @param {string} text
 */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
