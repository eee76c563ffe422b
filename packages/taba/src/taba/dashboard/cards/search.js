/**
 * The search field: what is typed filters at once, and suggestions say how it may go on.
 */
import { fill, h } from "../dom.js";
import { finder, suggestions } from "../globs.js";

/** Whole tabs that are suggested at once. */
const WHOLE = 30;

let count = 0;

/**
 * @param {object} how
 * @param {string} how.label
 * @param {string} [how.value]
 * @param {() => import("../globs.js").Tab[]} how.tabs what is searched
 * @param {(typed: string) => void} [how.typed] at each change
 * @param {(chosen: string) => void} [how.chosen] at Enter
 * @param {boolean} [how.whole] whether whole tabs are suggested
 * @returns {{element: HTMLElement, input: HTMLInputElement}}
 */
export function searchField({ label, value = "", tabs, typed = () => {}, chosen = () => {}, whole = false }) {
  const list = `suggestions-${(count += 1)}`;
  const input = /** @type {HTMLInputElement} */ (h("input", {
    type: "search", value, placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false",
    autocapitalize: "off", role: "combobox", "aria-expanded": "false", "aria-controls": list, "aria-autocomplete": "list",
  }));
  const options = h("ul", { class: "suggestions", id: list, role: "listbox", "aria-label": "Suggestions", hidden: true });
  let at = -1;

  const close = () => {
    options.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const take = (/** @type {string} */ text) => {
    input.value = text;
    typed(text);
    offer();
    input.focus();
  };
  const offer = () => {
    const found = whole ? wholeTabs(input.value, tabs()) : suggestions(input.value, tabs());
    if (!found.length || !input.value || document.activeElement !== input) return close();
    fill(options, found.map((text, index) =>
      h("li", { role: "option", id: `${list}-${index}`, "aria-selected": "false", onpointerdown: (/** @type {Event} */ event) => {
        event.preventDefault();
        take(text);
      } }, text)));
    at = -1;
    options.hidden = false;
    input.setAttribute("aria-expanded", "true");
    input.removeAttribute("aria-activedescendant");
  };
  const move = (/** @type {number} */ by) => {
    const items = [...options.children];
    // One step more than there are items: the place in the field itself, -1.
    at = ((at + 1 + by + items.length + 1) % (items.length + 1)) - 1;
    items.forEach((item, index) => item.setAttribute("aria-selected", String(index === at)));
    if (at >= 0) input.setAttribute("aria-activedescendant", `${list}-${at}`);
    else input.removeAttribute("aria-activedescendant");
  };

  input.addEventListener("input", () => {
    typed(input.value);
    offer();
  });
  input.addEventListener("focus", offer);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const open = !options.hidden;
    if (event.key === "ArrowDown" && open) move(1);
    else if (event.key === "ArrowUp" && open) move(-1);
    else if (event.key === "Escape" && open) close();
    else if (event.key === "Enter" || (event.key === "Tab" && open && at >= 0)) {
      if (open && at >= 0) take(options.children[at].textContent ?? "");
      else {
        close();
        chosen(input.value);
      }
    } else return;
    event.preventDefault();
  });
  return { element: h("div", { class: "search" }, input, options), input };
}

/**
 * @param {string} typed
 * @param {import("../globs.js").Tab[]} tabs
 */
function wholeTabs(typed, tabs) {
  const fits = finder(typed);
  const found = [];
  for (const tab of tabs) {
    if (fits(tab) && found.push(tab.tab) === WHOLE) break;
  }
  return found;
}
