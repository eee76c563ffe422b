/**
 * Which of many stand out. Pure.
 *
 * A robust z-score: how far a figure is from the median of all, in units of their spread. The spread is the median
 * absolute deviation times 1.4826, which for normally distributed figures is their standard deviation; one wild figure
 * changes neither (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993). Where more than half are equal that
 * is 0, and the mean absolute deviation times 1.2533 takes its place.
 */

/** From here on a figure is called an outlier. */
export const OUTLIER = 3.5;
/** Fewer figures than this say nothing of each other. */
export const LEAST = 3;
const MAD_SCALE = 1.4826;
const MEAN_SCALE = 1.2533;

/**
 * @param {number[]} values
 * @returns {number} NaN of none
 */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (!sorted.length) return NaN;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The score of each figure, null where it has none or there are too few.
 * @param {(number | null)[]} values
 * @returns {(number | null)[]}
 */
export function scores(values) {
  const known = /** @type {number[]} */ (values.filter((value) => value !== null && Number.isFinite(value)));
  if (known.length < LEAST) return values.map(() => null);
  const center = median(known);
  const away = known.map((value) => Math.abs(value - center));
  const mean = away.reduce((sum, value) => sum + value, 0) / away.length;
  const spread = median(away) * MAD_SCALE || mean * MEAN_SCALE;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null;
    return spread ? (value - center) / spread : 0;
  });
}

/**
 * How rare each text is among all: 0 for what all hold, towards 1 for what one of many holds.
 * @param {(string | null)[]} values
 * @returns {number[]}
 */
export function rarity(values) {
  /** @type {Map<string | null, number>} */
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return values.map((value) => 1 - (counts.get(value) ?? 0) / values.length);
}
