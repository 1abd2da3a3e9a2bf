// Choosing what to group by.
import { h } from "./dom.js";
import { said } from "./state.js";

/** Dimensions that views group by; attributes of spans come on top (attr.key). */
export const DIMENSIONS = ["provider", "model", "agent", "customer", "feature", "team", "user", "project", "environment", "run", "conversation", "operation", "service_tier", "service_name", "request_model", "response_model", "cost_status"];

/**
 * A select of a dimension. What is chosen goes to `onpick`, else into the view's parameter `name`. `none`: the text of
 * "no dimension", whose value is "none".
 */
export function dimensionSelect(page, { chosen, name = "by", label = "By", none = null, onpick = null }) {
  const known = DIMENSIONS.includes(chosen) || chosen === "none" ? DIMENSIONS : [...DIMENSIONS, chosen];
  const pairs = [...(none ? [["none", none]] : []), ...known.map((one) => [one, said(one)])];
  return select({ label, name, value: chosen, options: options(pairs), onchange: onpick ?? ((value) => page.go({ own: { [name]: value } })) });
}

/** A labelled select: `options` are option elements. */
export function select({ label, name, value, options: listed, onchange }) {
  const field = h("select", { name, onchange: (event) => onchange(event.target.value) }, listed);
  field.value = value;
  return h("label", { class: "inline" }, label, field);
}

/** Options from pairs of value and text. */
export const options = (pairs) => pairs.map(([value, text]) => h("option", { value }, text));
