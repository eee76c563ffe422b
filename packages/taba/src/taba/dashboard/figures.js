/**
 * The one figure that says most of an answer, for where there is room for one: by what the answer has, so that types of
 * one's own are shown too. Pure.
 */
import { number, quantity, unitOf } from "./format.js";

/** @typedef {"percentile" | "uniques" | "top" | "counter" | "gauge" | "buffer" | "other"} Kind */

/**
 * The type of an answer, by its columns.
 * @param {any} answer
 * @returns {Kind}
 */
export function kindOf(answer) {
  if ("p50" in answer) return "percentile";
  if ("uniques" in answer) return "uniques";
  if ("bound" in answer) return "top";
  if ("rate" in answer) return "counter";
  if ("value" in answer || "clients" in answer) return "gauge";
  return "values" in answer ? "buffer" : "other";
}

/**
 * In a few words: 12.3 /s, p50 58 ms · p99 98 ms, 299 distinct, /home ×750.
 * @param {string} tab
 * @param {any} answer of one client over a window
 */
export function headline(tab, answer) {
  const unit = unitOf(tab.split("{")[0]);
  switch (kindOf(answer)) {
    case "counter": return `${quantity(answer.rate, unit)}/s`;
    case "percentile":
      if (!answer.count) return "–";
      return `p50 ${quantity(answer.p50, unit)} · p99 ${quantity(answer.p99, unit)}`;
    case "uniques": return `${number(answer.uniques)} distinct`;
    case "top": {
      const most = answer.values[0];
      return most ? `${most.value} ×${number(most.count)}` : "–";
    }
    case "gauge": return typeof answer.value === "number" ? quantity(answer.value, unit) : (answer.value ?? "–");
    case "buffer": return answer.values[0] ? String(answer.values[0].value) : "–";
    default: {
      const first = Object.entries(answer).find(([, value]) => typeof value === "number");
      return first ? `${first[0]} ${number(Number(first[1]))}` : "–";
    }
  }
}

/**
 * What a sparkline of a tab draws: the figure of a point, its name, and what a slice without events means.
 * @param {any} point any point of the series
 * @returns {{name: string, of: (point: any) => number | null, empty: number | null}}
 */
export function trend(point) {
  const kind = kindOf(point);
  if (kind === "percentile") return { name: "p99", of: (one) => one.p99, empty: null };
  if (kind === "uniques") return { name: "distinct values", of: (one) => one.uniques, empty: 0 };
  if (kind === "counter") return { name: "total", of: (one) => one.total, empty: 0 };
  if (kind === "gauge") return { name: "value", of: (one) => (typeof one.value === "number" ? one.value : null), empty: null };
  return { name: "events", of: (one) => one.count ?? null, empty: 0 };
}
