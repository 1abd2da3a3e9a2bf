// Counts, ratios, times and names as people read them. Unknown is an en dash, never 0.

export const UNKNOWN = "–";
const SUFFIXES = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]];

// Numbers are written here and not by the browser's Intl, which takes 20 ms of work before its first one.

/** Digits of a whole number in groups: "1234567" -> "1,234,567". */
export const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ",");

/** A number as a text with so many decimal places, half away from zero by its digits. */
function fixed(value, places) {
  const steps = Math.round(Number((Math.abs(value) * 10 ** places).toPrecision(15)));
  const digits = String(steps).padStart(places + 1, "0");
  const whole = grouped(places ? digits.slice(0, -places) : digits);
  return `${value < 0 && steps ? "-" : ""}${whole}${places ? `.${digits.slice(-places)}` : ""}`;
}

/** Three digits and a suffix: 1234567 -> "1.23M". */
function compact(value) {
  const rounded = Number(value.toPrecision(3));
  const [unit, suffix] = SUFFIXES.find(([least]) => rounded >= least) ?? [1, ""];
  return `${rounded / unit}${suffix}`;
}

const missing = (value) => value === null || value === undefined;

/** 1234567 -> "1,234,567". */
export const count = (value) => (missing(value) ? UNKNOWN : fixed(value, 0));
/** 1234567 -> "1.23M". */
export const short = (value) => (missing(value) ? UNKNOWN : value < 10_000 ? fixed(value, 0) : compact(value));
const LEAST_SHARE = 0.001;
/** 0.1234 -> "12.3%", 0.0001 -> "<0.1%": little is not nothing. */
export function percent(value) {
  if (missing(value)) return UNKNOWN;
  return value > 0 && value < LEAST_SHARE ? "<0.1%" : `${fixed(value * 100, 1)}%`;
}
/** What is shown as a change: less is rounded to 0%. */
export const LEAST_CHANGE = 0.005;
/** 0.123 -> "▲ 12%". */
export function change(value) {
  if (missing(value)) return UNKNOWN;
  if (value > 9.995) return `▲ ${fixed(value + 1, 0)}×`;
  return `${value >= LEAST_CHANGE ? "▲" : value <= -LEAST_CHANGE ? "▼" : "="} ${fixed(Math.abs(value) * 100, 0)}%`;
}
/** "1 call", "2 calls". */
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** 3725 -> "1 h 2 min". */
export function duration(seconds) {
  if (missing(seconds)) return UNKNOWN;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return plural(Math.floor(seconds / 86_400), "day");
}
/** 75 -> "1 min ago". */
export function ago(seconds) {
  if (missing(seconds)) return UNKNOWN;
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${plural(Math.floor(seconds / 86_400), "day")} ago`;
}

const MADE = new Map();
function formatter(zone, options) {
  const key = `${zone} ${JSON.stringify(options)}`;
  if (!MADE.has(key)) MADE.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }));
  return MADE.get(key);
}

/** An instant as local date and time: "22 Nov 2026, 21:27:51". */
export function instant(iso, zone) {
  if (missing(iso)) return UNKNOWN;
  const options = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return formatter(zone, options).format(new Date(iso));
}

/** The same as short as it may be: "1 Dec", "1 Dec 14:30"; with the year where it is another one. */
export function moment(iso, zone) {
  if (missing(iso)) return UNKNOWN;
  const at = new Date(iso);
  const clock = formatter(zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(at);
  const year = (of) => formatter(zone, { year: "numeric" }).format(of);
  const day = formatter(zone, { day: "numeric", month: "short", ...(year(at) === year(new Date()) ? {} : { year: "numeric" }) }).format(at);
  return clock === "00:00" ? day : `${day} ${clock}`;
}

/** A period as a forecast names it, in words: "2026-10" -> "Oct 2026", "2026-W47" -> "Week 47 of 2026". */
export function periodName(text) {
  const [, year, week, month, day] = /^(\d+)-(?:W(\d+)|(\d+)(?:-(\d+))?)$/.exec(text) ?? [];
  if (week) return `Week ${Number(week)} of ${year}`;
  return month ? `${day ? `${Number(day)} ` : ""}${MONTHS[month - 1]} ${year}` : text;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/**
 * The start of a bucket, which the API writes as local time with its offset: "2026-11-22T00:00:00+01:00". The clock
 * of the text is what is shown, so that no browser's zone can shift a day. Short: for an axis.
 */
export function bucketName(text, bucket, short = false) {
  const [, year, month, day, hour, minute] = /^(\d+)-(\d+)-(\d+)(?:T(\d+):(\d+))?/.exec(text).map(Number);
  const date = `${day} ${MONTHS[month - 1]}`;
  if (bucket === "month") return `${MONTHS[month - 1]} ${year}`;
  if (bucket === "hour" || bucket === "minute") {
    const clock = `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
    return short ? (hour === 0 && !(bucket === "minute" && minute) ? date : clock) : `${date}, ${clock}`;
  }
  const weekday = DAYS[new Date(Date.UTC(year, month - 1, day)).getUTCDay()];
  return short ? date : `${bucket === "week" ? "Week of " : `${weekday} `}${date} ${year}`;
}

/** A group's name: what apps say as it is, and words for "has none". */
export const named = (value) => (value === null || value === undefined || value === "" ? "(none)" : value);
