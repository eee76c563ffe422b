/** Answers asked for again and again, where there is no live route. */
import { get } from "./api.js";

/**
 * @param {import("./live.js").Question} question
 * @param {import("./live.js").Reader} reader
 */
export function poll(question, reader) {
  let ended = false;
  const ask = async () => {
    const { span, ...fields } = question.fields;
    const units = { s: 1, m: 60, h: 3600, d: 86400 };
    if (span) fields.from = Date.now() / 1000 - Number(String(span).slice(0, -1)) * units[String(span).at(-1)];
    try {
      if (!document.hidden) {
        const answer = await get(question.of, fields);
        if (!ended) reader.answer(answer, null);
      }
    } catch (error) {
      reader.refused?.(error);
    }
    if (!ended) setTimeout(ask, 1000);
  };
  ask();
  return { close: () => { ended = true; } };
}
