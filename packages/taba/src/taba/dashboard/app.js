/**
 * The shell: which page is shown, and what is the same on all of them.
 *
 * A page is a module in views/ with
 *     title               for the navigation and the window
 *     open(root, place)   fills `root` and gives {change(place), close()}: `change` is called when only the address'
 *                         further parts changed, `close` when another page takes its place
 */
import { onHead } from "./api.js";
import { showCompleteness } from "./completeness.js";
import { fill, h } from "./dom.js";
import { onBroken } from "./live.js";
import { href, parse } from "./place.js";
import * as boards from "./views/boards.js";
import * as clients from "./views/clients.js";
import * as ledger from "./views/ledger.js";
import * as noisiest from "./views/noisiest.js";
import * as tab from "./views/tab.js";
import * as tabs from "./views/tabs.js";
import * as watches from "./views/watches.js";

/** @typedef {{change: (place: import("./place.js").Place) => void, close: () => void}} View */
/** @typedef {{title: string, open: (root: HTMLElement, place: import("./place.js").Place) => View}} Page */

/** @type {Record<string, Page>} */
const PAGES = { "": tabs, tab, clients, ledger, noisiest, watches, boards };
const LISTED = ["", "clients", "ledger", "noisiest", "watches", "boards"];

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {{page: Page, view: View} | null} */
let shown = null;

function show() {
  const place = parse(location.hash);
  const page = PAGES[place.page] ?? PAGES[""];
  if (shown?.page === page) {
    shown.view.change(place);
  } else {
    shown?.view.close();
    fill(main);
    main.className = `page-${place.page || "tabs"}`;
    document.title = `${page.title} · Taba`;
    window.scrollTo(0, 0);
    shown = { page, view: page.open(main, place) };
  }
  for (const link of document.querySelectorAll("#pages a")) {
    const here = link.getAttribute("data-page") === (place.page === "tab" ? "" : place.page);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showPages() {
  const links = LISTED.map((name) => h("a", { href: href([name]), data: { page: name } }, PAGES[name].title));
  fill(/** @type {Element} */ (document.getElementById("pages")), links);
}

function showTheme() {
  const button = /** @type {HTMLElement} */ (document.getElementById("theme"));
  const theme = /** @type {any} */ (window).tabaTheme;
  const names = { system: "as the system", light: "light", dark: "dark" };
  const signs = { system: "◐", light: "☀", dark: "☾" };
  const tell = () => {
    const choice = /** @type {keyof typeof names} */ (theme.chosen());
    button.textContent = signs[choice];
    button.setAttribute("aria-label", `Colours: ${names[choice]}`);
    button.title = `Colours: ${names[choice]}`;
  };
  button.addEventListener("click", () => {
    theme.next();
    tell();
  });
  tell();
}

/** A quiet note while a stream is broken. */
function showBroken() {
  const notes = /** @type {HTMLElement} */ (document.getElementById("notes"));
  onBroken((reason) => fill(notes, reason && h("p", { class: "note" }, h("span", { class: "dot", data: { state: "fair" } }), reason)));
}

showPages();
showTheme();
showBroken();
onHead(showCompleteness(/** @type {HTMLElement} */ (document.getElementById("completeness"))));
window.addEventListener("hashchange", show);
show();
