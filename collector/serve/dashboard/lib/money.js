// Dollars as whole pico-dollars in BigInt, never as floats. The API's decimal strings have at most 12 places.
import { grouped } from "./format.js";

const PLACES = 12;

/** "0.0123" -> 12300000000n; null -> null. */
export function parse(text) {
  if (text === null || text === undefined) return null;
  const found = /^(-?)(\d+)(?:\.(\d{0,12}))?$/.exec(text);
  if (!found) throw new TypeError(`not an amount of money: ${text}`);
  const pico = BigInt(found[2]) * 10n ** BigInt(PLACES) + BigInt((found[3] || "").padEnd(PLACES, "0"));
  return found[1] ? -pico : pico;
}

/** The sum; unknown amounts are left out, null if there is none that is known. */
export function sum(amounts) {
  let total = null;
  for (const amount of amounts) if (amount !== null) total = (total ?? 0n) + amount;
  return total;
}

const abs = (pico) => (pico < 0n ? -pico : pico);
const unit = (places) => 10n ** BigInt(PLACES - places);

/** How many decimal places a column of amounts needs, by its largest. */
export function places(amounts) {
  let most = 0n;
  for (const amount of amounts) if (amount !== null && abs(amount) > most) most = abs(amount);
  if (most === 0n || most >= unit(0)) return 2;
  return most >= unit(2) ? 4 : most >= unit(4) ? 6 : 9;
}

/** The same for costs of one thing, which differ by orders of magnitude: by the one in the middle, at least 4. */
export function finePlaces(amounts) {
  const known = amounts.filter((amount) => amount !== null && amount !== 0n).sort((a, b) => (a < b ? -1 : 1));
  if (!known.length) return 2;
  const middle = known[known.length >> 1];
  return middle >= unit(3) ? 4 : middle >= unit(5) ? 6 : 9;
}

/** How many an amount needs that stands alone. */
function alone(pico) {
  if (pico === null || pico === 0n || abs(pico) >= unit(1)) return 2;
  return abs(pico) >= unit(3) ? 4 : abs(pico) >= unit(5) ? 6 : 9;
}

/** In a legend, where tables have the cents: "$117", "$3.8", "$0.42". */
export const brief = (pico) => usd(pico, pico === null || abs(pico) < unit(0) ? alone(pico) : abs(pico) < 10n * unit(0) ? 1 : 0);

/** Rounded to `digits` places, half away from zero: "$1,234.50". Not zero, but rounded to it: "<$0.01". Null: an en dash. */
export function usd(pico, digits = alone(pico)) {
  if (pico === null) return "–";
  const step = unit(digits);
  const rounded = (abs(pico) + step / 2n) / step;
  if (rounded === 0n && pico !== 0n) return `<$${plain(1n, digits)}`;
  return `${pico < 0n ? "-" : ""}$${plain(rounded, digits)}`;
}

/** As the API writes it: "0.012300000000". */
export const decimal = (pico) => `${pico < 0n ? "-" : ""}${abs(pico) / unit(0)}.${(abs(pico) % unit(0)).toString().padStart(PLACES, "0")}`;

/** All digits: "$0.0123". */
export function exact(pico) {
  if (pico === null) return "unknown";
  const text = plain(abs(pico), PLACES).replace(/(\.\d\d\d*?)0+$/, "$1");
  return `${pico < 0n ? "-" : ""}$${text}`;
}

function plain(steps, digits) {
  const scale = 10n ** BigInt(digits);
  const whole = grouped((steps / scale).toString());
  return digits === 0 ? whole : `${whole}.${(steps % scale).toString().padStart(digits, "0")}`;
}

/**
 * Amounts rounded to `digits` places so that what is shown adds up to the rounded `total`: the steps that rounding
 * leaves over go to the amounts that lost most by it (largest remainder). `amounts` must add up to `total`.
 */
export function apportioned(amounts, total, digits) {
  const step = unit(digits);
  const floors = amounts.map((amount) => (amount === null ? null : floor(amount, step)));
  const rounded = floor(total + step / 2n, step);
  let left = floors.reduce((rest, steps) => rest - (steps ?? 0n), rounded);
  const order = amounts.map((amount, at) => [amount === null ? -1n : amount - floors[at] * step, at]).sort((a, b) => (a[0] < b[0] ? 1 : a[0] > b[0] ? -1 : a[1] - b[1]));
  for (const [rest, at] of order) {
    if (left <= 0n || rest < 0n) break;
    floors[at] += 1n;
    left -= 1n;
  }
  return floors.map((steps) => (steps === null ? null : steps * step));
}

const floor = (amount, step) => (amount >= 0n ? amount / step : -((-amount + step - 1n) / step));

/** a / b as a number, for lengths and angles only; null where there is no ratio. */
export function ratio(a, b) {
  if (a === null || b === null || b === 0n) return null;
  return Number((a * 1_000_000_000n) / b) / 1e9;
}

/** For the height of a bar only: a float of dollars. */
export const height = (pico) => (pico === null ? null : Number(pico) / 1e12);
