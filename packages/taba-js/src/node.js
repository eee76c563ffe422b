/**
 * The client in Node. Arguments win over the environment, and that over defaults:
 *
 *     client    TABA_CLIENT    {host}-{pid}              the client's id, with {host}, {pid} and {thread} filled in
 *     agent     TABA_AGENT                               the address of an agent, which wins over a server's
 *     server    TABA_SERVER    http://127.0.0.1:8300     the address of a server
 *     token     TABA_TOKEN                               sent as a bearer token
 *               TABA_DISABLED                            1: nothing is kept and nothing is sent
 */

import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { threadId } from "node:worker_threads";
import { Client as Core } from "./client.js";
import { NodeLink } from "./link-node.js";
import { checkClient } from "./names.js";
import { defaults } from "./settings.js";

const SERVER = "http://127.0.0.1:8300";
const CLIENT = threadId ? "{host}-{pid}.{thread}" : "{host}-{pid}";
const FRAME_BYTES = 4 << 20;
const LONGEST_PAUSE = 5;

/** @param {string} client */
function filledIn(client) {
  const host = hostname().replace(/[^A-Za-z0-9_.-]/g, "-") || "host";
  const known = { "{host}": host, "{pid}": `${process.pid}`, "{thread}": `${threadId}` };
  return checkClient(Object.entries(known).reduce((id, [name, value]) => id.replaceAll(name, value), client));
}

/**
 * Close the client once nothing is left for the program to do.
 * @param {Core} client
 */
function leave(client) {
  const close = () => void client.close();
  process.once("beforeExit", close);
  return () => process.removeListener("beforeExit", close);
}

/** Records events, and sends them four times a second. It does not keep the process alive. */
export class Client extends Core {
  /** @param {import("../taba-client.js").Options} [options] */
  constructor(options = {}) {
    const { env } = process;
    const given = options.agent || options.server || env.TABA_AGENT || env.TABA_SERVER || SERVER;
    const address = /^[^:/]+:[0-9]+$/.test(given) ? `http://${given}` : given;
    super(
      defaults(options, {
        client: filledIn(options.client || env.TABA_CLIENT || CLIENT),
        pendingBytes: 16 << 20,
        flushLimit: 1_000_000,
        tabLimit: 100_000,
        disabled: !["", "0"].includes(env.TABA_DISABLED ?? ""),
      }),
      {
        epoch: randomBytes(8).toString("hex"),
        link: new NodeLink(address, options.token ?? env.TABA_TOKEN),
        frameBytes: FRAME_BYTES,
        beats: true,
        longestPause: LONGEST_PAUSE,
        unref: (timer) => timer.unref(),
        leave,
      },
    );
  }
}
