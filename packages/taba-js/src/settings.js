/** What holds where a client is told nothing else. */

/**
 * @param {import("../taba-client.js").Options} options
 * @param {Omit<import("./client.js").Settings, "tags" | "log">} otherwise
 * @returns {import("./client.js").Settings}
 */
export function defaults(options, otherwise) {
  return {
    client: otherwise.client,
    tags: options.tags ?? {},
    pendingBytes: options.pendingBytes ?? otherwise.pendingBytes,
    flushLimit: options.flushLimit ?? otherwise.flushLimit,
    tabLimit: options.tabLimit ?? otherwise.tabLimit,
    disabled: options.disabled ?? otherwise.disabled,
    log: options.log ?? ((text) => console.warn(`taba: ${text}`)),
  };
}
