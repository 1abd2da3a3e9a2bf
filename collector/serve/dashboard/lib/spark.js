// Small pictures beside numbers, as SVG of our own: they have no axes, and the number says the same.
import { svg, h } from "./dom.js";

/** A line of values (numbers; null: a gap) in a box; decoration, hidden from screen readers. */
export function sparkline(values, { width = 84, height = 22 } = {}) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return svg("svg", { class: "spark", width, height, "aria-hidden": "true" });
  const most = Math.max(...known) || 1;
  const step = width / (values.length - 1);
  const points = values.map((value, at) => [at * step, height - 2 - ((value ?? 0) / most) * (height - 4)]);
  const line = points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  return svg(
    "svg",
    { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" },
    svg("path", { class: "spark-area", d: `${line}L${width} ${height}L0 ${height}Z` }),
    svg("path", { class: "spark-line", d: line }),
  );
}

/** A horizontal bar of parts: `[{ratio, class, fill, label}]`; ratios are of the whole width. */
export function bar(parts, { label = null } = {}) {
  let at = 0;
  const drawn = parts.filter((part) => part.ratio > 0).map((part) => {
    const x = at;
    at += part.ratio * 100;
    return svg("rect", { class: part.class ?? (part.fill ? null : "bar-fill"), x: `${x.toFixed(3)}%`, y: 0, height: "100%", width: `${Math.min(100, part.ratio * 100).toFixed(3)}%`, fill: part.fill }, part.label ? svg("title", {}, part.label) : null);
  });
  return svg("svg", { class: "bar-parts", role: label ? "img" : null, "aria-label": label, "aria-hidden": label ? null : "true", focusable: "false" }, drawn);
}

/** A small square of a colour, as the key of a legend. */
export const swatch = (fill, opacity = 1) => svg("svg", { class: "swatch", width: 10, height: 10, "aria-hidden": "true" }, svg("rect", { width: 10, height: 10, rx: 2, fill, opacity }));

/** A pill: "partial", "estimated". */
export const pill = (text, kind = "", title = null) => h("span", { class: `pill ${kind}`, title }, text);
