/** One kept HTTP connection to an agent or a server, over TCP, TLS or a unix socket, which keeps no process alive. */

import http from "node:http";
import https from "node:https";
import { CONTENT_TYPE } from "./frame.js";

/** Seconds of silence after which a request counts as failed. */
const TIMEOUT = 10;
const MAX_ANSWER = 1 << 20;

/** @typedef {import("./sender.js").Answer} Answer */

/** Posts frames, one request at a time. */
export class NodeLink {
  /**
   * @param {string} written as http://HOST:PORT[/PREFIX], the same with https, or unix:///PATH
   * @param {string} [token]
   */
  constructor(written, token) {
    const url = parsed(written);
    const module = url.protocol === "https:" ? https : http;
    const unix = url.protocol === "unix:";
    this.written = written;
    this.agent = new module.Agent({ keepAlive: true, maxSockets: 1 });
    this.send = module.request;
    /** @type {import("node:https").RequestOptions} */
    this.options = {
      agent: this.agent,
      method: "POST",
      timeout: TIMEOUT * 1000,
      ...(unix
        ? { socketPath: decodeURIComponent(url.pathname), host: "localhost", path: "/v1/events" }
        : { host: url.hostname.replace(/^\[|\]$/g, ""), port: url.port, path: `${url.pathname.replace(/\/+$/, "")}/v1/events` }),
      headers: { "Content-Type": CONTENT_TYPE, ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    };
  }

  /**
   * Send frames and wait for the answer; never throws. A kept connection may have been closed by the other side, which
   * is no failure: then the same bytes go once more, and the receiver knows them by the frames' numbers.
   * @param {Uint8Array} body
   * @returns {Promise<Answer>}
   */
  async post(body) {
    const first = await this.exchange(body);
    return first.kept ? this.exchange(body) : first;
  }

  /**
   * @param {Uint8Array} body
   * @returns {Promise<Answer & { kept?: boolean }>} `kept` where a connection that was kept turned out to be closed
   */
  exchange(body) {
    return new Promise((resolve) => {
      const headers = { ...this.options.headers, "Content-Length": body.length };
      const request = this.send({ ...this.options, headers }, (response) => {
        gathered(response).then(resolve, (error) => resolve(unanswered(error)));
      });
      request.on("socket", (socket) => socket.unref());
      request.on("timeout", () => request.destroy(new Error(`no answer within ${TIMEOUT} s`)));
      request.on("error", (error) => {
        const kept = request.reusedSocket && /** @type {NodeJS.ErrnoException} */ (error).code === "ECONNRESET";
        resolve({ ...unanswered(error), kept });
      });
      request.end(body);
    });
  }

  /** Close the connection; the next request opens another. */
  close() {
    this.agent.destroy();
  }
}

/**
 * @param {Error} error
 * @returns {Answer}
 */
const unanswered = (error) => ({ status: 0, wait: null, text: error.message || error.name });

/**
 * @param {import("node:http").IncomingMessage} response
 * @returns {Promise<Answer>}
 */
async function gathered(response) {
  let text = "";
  response.setEncoding("utf8");
  for await (const part of response) if (text.length < MAX_ANSWER) text += part;
  const wait = Number(response.headers["retry-after"] || NaN);
  return { status: response.statusCode ?? 0, wait: Number.isFinite(wait) ? Math.max(0, wait) : null, text };
}

/**
 * @param {string} written
 * @returns {URL}
 */
function parsed(written) {
  try {
    const url = new URL(written);
    const fits = url.protocol === "unix:" ? !url.host && url.pathname.length > 1 : /^https?:$/.test(url.protocol);
    if (fits && !url.search && !url.hash) return url;
  } catch {
    // it is told below
  }
  throw new RangeError(
    `${JSON.stringify(written)} is not an address: write it as http://127.0.0.1:8300 or unix:///run/taba.sock`,
  );
}
