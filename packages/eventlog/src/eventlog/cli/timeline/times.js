// Times are whole microseconds since 1970 in UTC. How they are told, and where an axis has its ticks.

const SECOND = 1e6, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const MONTHS = "January February March April May June July August September October November December".split(" ");
const WEEKDAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const STEPS = [
  ...[1, 10, 100, 1e3, 1e4, 1e5].flatMap(unit => [unit, 2 * unit, 5 * unit]),
  ...[1, 2, 5, 10, 15, 30].map(count => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map(count => count * MINUTE),
  ...[1, 2, 3, 6, 12].map(count => count * HOUR),
  ...[1, 2, 7].map(count => count * DAY),
];
const YEARS = [1, 2, 5, 10, 20, 50, 100];

const two = number => String(number).padStart(2, "0");
const dateOf = time => new Date(Math.floor(time / 1000));
const dayStart = time => Math.floor(time / DAY) * DAY;
const count = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;

/** 10:00:05, as fine as it is: 10:00:05.25. Without seconds where there are none and `short` is asked for. */
function clock(time, short = false) {
  const date = dateOf(time), micros = time - Math.floor(time / SECOND) * SECOND;
  const fine = micros ? "." + String(micros).padStart(6, "0").replace(/0+$/, "") : "";
  const told = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  return short && !fine && !date.getUTCSeconds() ? told : `${told}:${two(date.getUTCSeconds())}${fine}`;
}

/** 16 Feb 2011 */
function day(time) {
  const date = dateOf(time);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()].slice(0, 3)} ${date.getUTCFullYear()}`;
}

/** Wednesday 16 February 2011 */
function longDay(time) {
  const date = dateOf(time);
  return `${WEEKDAYS[date.getUTCDay()]} ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
}

/** 16 Feb 2011, 10:00:05 */
const moment = time => `${day(time)}, ${clock(time)}`;

/** From a time to another, the day once where it is the same. */
function spanned(from, to) {
  if (dayStart(from) === from && dayStart(to) === to) {
    return to - from === DAY ? longDay(from) : `${day(from)} – ${day(to - DAY)}`;
  }
  const whole = time => clock(to - from > 10 * MINUTE ? Math.round(time / MINUTE) * MINUTE : time, true);
  if (to - from > 20 * DAY) return `${day(from)} – ${day(to)}`;
  return `${day(from)}, ${whole(from)} – ${dayStart(from) === dayStart(to) ? "" : `${day(to)}, `}${whole(to)}`;
}

/** How long: 3 d 4 h, 5 min 20 s, 4.5 s, 12 ms. */
function lasting(micros) {
  if (micros < 1000) return `${micros} µs`;
  if (micros < SECOND) return `${+(micros / 1000).toPrecision(3)} ms`;
  if (micros < MINUTE) return `${+(micros / SECOND).toFixed(2)} s`;
  const [large, largeName, small, smallName] =
    micros < HOUR ? [MINUTE, "min", SECOND, "s"] : micros < DAY ? [HOUR, "h", MINUTE, "min"] : [DAY, "d", HOUR, "h"];
  const whole = Math.floor(micros / large), rest = Math.floor((micros % large) / small);
  return `${whole.toLocaleString("en")} ${largeName}` + (rest ? ` ${rest} ${smallName}` : "");
}

/** The least length of bins that is at least so long. */
const stepOf = least => (least > DAY ? Math.ceil(least / DAY) * DAY : STEPS.find(step => step >= least));

/**
 * The ticks between two times, `least` microseconds apart or more: [{at, text}], and the `eras` above them (days,
 * months or years, {at, texts} from the longest on), the first of which begins at or before `from`.
 */
function ticks(from, to, least) {
  const step = STEPS.find(one => one >= least);
  if (step === undefined) return calendar(from, to, least);
  const marks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    marks.push({ at, text: step < DAY ? clock(at, true) : String(dateOf(at).getUTCDate()) });
  }
  const days = () => eras(from, to, 0, 0, longDay, briefDay, briefestDay);
  return { marks, eras: step < DAY ? days() : eras(from, to, 0, 1, monthOf) };
}

const briefDay = time => `${WEEKDAYS[dateOf(time).getUTCDay()].slice(0, 3)} ${day(time)}`;
const briefestDay = time => briefDay(time).split(" ").slice(0, 2).join(" ");
const monthOf = time => `${MONTHS[dateOf(time).getUTCMonth()]} ${dateOf(time).getUTCFullYear()}`;
const yearOf = time => String(dateOf(time).getUTCFullYear());

/** Ticks of months or years. */
function calendar(from, to, least) {
  const months = [1, 3, 6].find(count => count * 28 * DAY >= least);
  if (months) {
    const told = time => MONTHS[dateOf(time).getUTCMonth()].slice(0, 3);
    return { marks: marksOf(eras(from, to, 0, months, told), from), eras: eras(from, to, 1, 0, yearOf) };
  }
  const years = YEARS.find(count => count * 365 * DAY >= least) ?? 500;
  return { marks: marksOf(eras(from, to, years, 0, yearOf), from), eras: [] };
}

const marksOf = (found, from) => found.filter(({ at }) => at >= from).map(({ at, texts: [text] }) => ({ at, text }));

/** Beginnings of years, of months, or of days where both are 0; the first lies at or before `from`. */
function eras(from, to, years, months, ...told) {
  const date = dateOf(from), found = [];
  let year = date.getUTCFullYear(), month = 0, at = dayStart(from);
  if (years) year -= year % years;
  if (months) month = date.getUTCMonth() - (date.getUTCMonth() % months);
  if (years || months) at = Date.UTC(year, month) * 1000;
  while (at <= to) {
    found.push({ at, texts: told.map(tell => tell(at)) });
    [year, month] = [year + years, month + months];
    at = years || months ? Date.UTC(year, month) * 1000 : at + DAY;
  }
  return found;
}
