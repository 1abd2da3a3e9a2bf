// A row's figures as they are shown everywhere: one rule for what is not priced.
import { h } from "./dom.js";
import { count, LEAST_CHANGE, plural } from "./format.js";
import { parse } from "./money.js";
import { pill } from "./spark.js";
import { money } from "./table.js";

/** Dollars of a group in pico; null where none of its calls has a price. */
export function cost(measures) {
  return measures.calls > 0 && measures.unpriced_calls === measures.calls ? null : parse(measures.cost_usd);
}

/** The cost, with a mark if some calls have no price. `shown`: rounded so that the column adds up. */
export function costCell(measures, digits, shown = undefined) {
  const known = cost(measures);
  if (known === null) return pill("unpriced", "warn", `${plural(measures.unpriced_calls, "call")} without a price`);
  return [measures.unpriced_calls ? [pill(`+${count(measures.unpriced_calls)}`, "warn", `and ${plural(measures.unpriced_calls, "call")} without a price`), " "] : null, money(known, digits, { shown })];
}

/** "▲ 12%" in the colour of what it means for the bill. */
export function changeCell(ratio, text) {
  return h("span", { class: ratio >= LEAST_CHANGE ? "up" : ratio <= -LEAST_CHANGE ? "down" : "soft" }, text);
}

/** Tokens of a group in all; null where no call says any. */
export function tokens(measures) {
  const known = [measures.input_tokens, measures.output_tokens].filter((one) => one !== null && one !== undefined);
  return known.length ? known.reduce((total, one) => total + one, 0) : null;
}

/** A cost per something in pico; null where no call has a price. */
export const each = (measures, key) => (cost(measures) === null ? null : parse(measures[key]));
