/**
 * Where a token is asked for: the page on which it is given, and signing out.
 *
 * The browser keeps the token in a cookie that no script can read, so all that is known here is whose it was.
 */
import { snippet } from "./copy.js";
import { h } from "./dom.js";

const KEY = "taba.signed-in";
const CALL = "v1/session";

/** @type {Set<(reason: string) => void>} */
const watchers = new Set();

/**
 * Be told when the server wants a token, with its reason.
 * @param {(reason: string) => void} watcher
 */
export function onLocked(watcher) {
  watchers.add(watcher);
}

/** @param {string} reason */
export function tellLocked(reason) {
  for (const watcher of watchers) watcher(reason);
}

/** The id of the token with which this browser signed in; null where it did not. */
export function signedIn() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // a browser that keeps nothing
  }
}

/** @param {string | null} id */
function note(id) {
  try {
    if (id === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, id);
  } catch {
    // then it is asked for again
  }
}

export async function signOut() {
  await fetch(CALL, { method: "DELETE" }).catch(() => null);
  note(null);
  location.reload();
}

/**
 * The page that asks for a token.
 * @returns {HTMLElement}
 */
export function signInPage() {
  const before = signedIn();
  const field = h("input", { id: "token", type: "password", autocomplete: "current-password", spellcheck: "false", required: true, placeholder: "taba_…" });
  const told = h("p", { class: "told", role: "alert" }, before && `The token ${before}, with which you signed in here, is no longer taken.`);
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const form = h("form", { onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void signIn(field, told, button);
  } },
    h("label", { for: "token" }, "Token"),
    h("div", { class: "row" }, field, button),
    told,
  );
  setTimeout(() => field.focus());
  return h("section", { class: "panel pad sign-in" },
    h("h1", {}, "This Taba asks for a token"),
    h("p", { class: "lead" }, "Give one that may read. This browser keeps it where no script can reach it, until you sign out or the token is revoked."),
    form,
    h("details", {},
      h("summary", {}, "You have none?"),
      h("p", { class: "muted" }, "Whoever runs the server makes you one, on its machine:"),
      snippet("taba token create --read --expires 90d --note 'who it is for'", "the command"),
    ),
  );
}

/**
 * @param {HTMLInputElement} field
 * @param {HTMLElement} told
 * @param {HTMLButtonElement} button
 */
async function signIn(field, told, button) {
  button.disabled = true;
  try {
    const body = JSON.stringify({ token: field.value.trim() });
    const response = await fetch(CALL, { method: "POST", body, headers: { "Content-Type": "application/json" } });
    const answer = await response.json().catch(() => null);
    if (response.ok) {
      note(answer.token);
      location.reload();
      return;
    }
    told.textContent = answer?.error ?? `the server answers ${response.status}`;
  } catch {
    told.textContent = "the server cannot be reached";
  }
  button.disabled = false;
  field.select();
}
