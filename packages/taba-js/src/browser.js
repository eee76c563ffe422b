/**
 * The client in a page.
 *
 * A page load is an epoch, not a client: many pages share a few client ids, `browser-0` to `browser-15`, one of which is
 * drawn for each page load, so that answers do not have a State for each visitor. Nobody waits for a page that is
 * silent, so each frame says that it may be the epoch's last, and there are no heartbeats.
 *
 * Frames are posted as text/plain, which browsers send to another origin without asking first; so they can be sent while
 * a page is being left. The server takes them so only from the origins that it lists.
 */

import { BrowserLink } from "./link-browser.js";
import { Client as Core } from "./client.js";
import { checkClient } from "./names.js";
import { defaults } from "./settings.js";

const SLOTS = 16;
/** Of a frame: several must fit into what browsers send for a page that is being left. */
const FRAME_BYTES = 16 << 10;
const LONGEST_PAUSE = 60;

/** @param {string} client */
function filledIn(client) {
  const slot = `${Math.floor(Math.random() * SLOTS)}`;
  return checkClient(client.replaceAll("{slot}", slot).replaceAll("{site}", globalThis.location?.hostname || "page"));
}

function randomEpoch() {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Send what was recorded when the page is hidden or left: it may not get another chance. Both may happen, one after the
 * other; each frame is handed to the browser once.
 * @param {Core} client
 */
function leave(client) {
  const { document } = globalThis;
  let handed = 0;
  const go = () => {
    client.flusher.flush();
    const { pending, link } = client.sender;
    const rest = pending.frames.filter((one) => one.sequence > handed);
    const last = rest[/** @type {BrowserLink} */ (link).part(rest.map((one) => one.body)) - 1];
    if (last) {
      handed = last.sequence;
      pending.sent(pending.frames.indexOf(last) + 1);
    }
  };
  const hide = () => {
    if (document.visibilityState === "hidden") go();
  };
  document?.addEventListener("visibilitychange", hide);
  globalThis.addEventListener("pagehide", go);
  return () => {
    document?.removeEventListener("visibilitychange", hide);
    globalThis.removeEventListener("pagehide", go);
  };
}

/** Records events, and sends them four times a second. One for each page. */
export class Client extends Core {
  /** @param {import("../taba-client.js").Options} [options] */
  constructor(options = {}) {
    super(
      defaults(options, {
        client: filledIn(options.client || "browser-{slot}"),
        pendingBytes: 1 << 20,
        flushLimit: 100_000,
        tabLimit: 1000,
        disabled: false,
      }),
      {
        epoch: randomEpoch(),
        link: new BrowserLink(options.agent || options.server || globalThis.location.origin, options.token),
        frameBytes: FRAME_BYTES,
        beats: false,
        longestPause: LONGEST_PAUSE,
        unref: () => {},
        leave,
      },
    );
  }
}
