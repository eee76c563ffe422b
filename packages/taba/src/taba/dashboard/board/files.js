/**
 * Boards as files: taken from the reader's disk, checked by the server, and given back.
 */
import { Refused, address } from "../api.js";

/** The board that was opened from a file, or begun, and is not in the server's folder. @type {{name: string, text: string} | null} */
let held = null;

/** @returns {{name: string, text: string} | null} */
export function draft() {
  return held;
}

/** @param {{name: string, text: string} | null} board */
export function keep(board) {
  held = board;
}

/**
 * The board that a text is, as the server reads it; raises Refused with what is wrong, and where.
 * @param {string} text
 * @returns {Promise<import("./question.js").Board>}
 */
export async function checked(text) {
  let response;
  try {
    response = await fetch(address("boards"), { method: "POST", body: text, headers: { "Content-Type": "application/json" } });
  } catch {
    throw new Refused("the server cannot be reached", 0);
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(answer?.error ?? `the server answers ${response.status}`, response.status);
  return answer.board;
}

/**
 * A board as it is written to a file: by hand, and by git, line by line.
 * @param {import("./question.js").Board} board
 */
export function written(board) {
  return `${JSON.stringify(board, null, 2)}\n`;
}

/**
 * A name for a board's file, made of its title.
 * @param {string} title
 */
export function nameOf(title) {
  const plain = title.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 60) || "board";
}

/**
 * Have the browser save a text as a file.
 * @param {string} name
 * @param {string} text
 */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
