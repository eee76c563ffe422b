/**
 * The shell: which page is shown, and what is the same on all of them.
 *
 * A page is a module in views/ with
 *     open(root, place)   fills `root` and gives {change(place), close()}: `change` is called when only the address'
 *                         further parts changed, `close` when another page takes its place
 */
import { onHead } from "./api.js";
import { showCompleteness } from "./completeness.js";
import { fill, h } from "./dom.js";
import { onBroken } from "./live.js";
import { onLocked, signedIn, signInPage, signOut } from "./lock.js";
import { href, parse } from "./place.js";

/** @typedef {{change: (place: import("./place.js").Place) => void, close: () => void}} View */
/** @typedef {{open: (root: HTMLElement, place: import("./place.js").Place) => View}} Page */

/**
 * The pages; a module is fetched when its page is first gone to.
 * @type {Record<string, {title: string, load: () => Promise<Page>}>}
 */
const PAGES = {
  "": { title: "Tabs", load: () => import("./views/tabs.js") },
  tab: { title: "Tab", load: () => import("./views/tab.js") },
  clients: { title: "Clients", load: () => import("./views/clients.js") },
  ledger: { title: "Ledger", load: () => import("./views/ledger.js") },
  noisiest: { title: "Noisiest", load: () => import("./views/noisiest.js") },
  watches: { title: "Watches", load: () => import("./views/watches.js") },
  boards: { title: "Boards", load: () => import("./views/boards.js") },
};
const LISTED = ["", "clients", "ledger", "noisiest", "watches", "boards"];

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {{name: string, view: View} | null} */
let shown = null;
let turn = 0;
let locked = false;

async function show() {
  if (locked) return; // once somebody has signed in, the page is loaded anew
  const place = parse(location.hash);
  const name = place.page in PAGES ? place.page : "";
  turn += 1;
  showWhere(name);
  if (shown?.name === name) {
    shown.view.change(place);
    return;
  }
  shown?.view.close();
  shown = null;
  fill(main);
  document.title = `${PAGES[name].title} · Taba`;
  const own = turn;
  try {
    const page = await PAGES[name].load();
    if (own !== turn) return; // gone elsewhere meanwhile
    main.className = `page-${name || "tabs"}`;
    window.scrollTo(0, 0);
    shown = { name, view: page.open(main, place) };
  } catch (error) {
    if (own === turn && !locked) showLost(/** @type {Error} */ (error));
  }
}

/** @param {Error} error why the page's module is not here: most often the server is away */
function showLost(error) {
  const again = h("button", { type: "button", onclick: () => location.reload() }, "Try again");
  fill(main, h("section", { class: "empty" }, h("h1", {}, "This page cannot be loaded"), h("p", {}, error.message), again));
}

/** In the place of any page: the server wants a token. */
function showLocked() {
  if (locked) return;
  locked = true;
  turn += 1;
  shown?.view.close();
  shown = null;
  document.title = "Sign in · Taba";
  main.className = "page-sign-in";
  fill(main, signInPage());
}

function showSignOut() {
  const who = signedIn();
  if (who === null) return;
  const button = h("button", { id: "sign-out", class: "quiet", type: "button", title: `Signed in with the token ${who}`, onclick: signOut }, "Sign out");
  document.querySelector(".bar-end")?.append(button);
}

/** @param {string} name */
function showWhere(name) {
  for (const link of document.querySelectorAll("#pages a")) {
    const here = link.getAttribute("data-page") === (name === "tab" ? "" : name);
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
showSignOut();
onLocked(showLocked);
onHead(showCompleteness(/** @type {HTMLElement} */ (document.getElementById("completeness"))));
window.addEventListener("hashchange", show);
show();
