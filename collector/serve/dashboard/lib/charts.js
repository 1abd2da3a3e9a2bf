// Charts by Plotly, which is loaded when the first chart is on screen and after the first paint. Every chart has a table.
import { h, uid } from "./dom.js";

const SOURCE = document.querySelector('meta[name="otel-cost-charts"]')?.content ?? "";
const CONFIG = { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: false, showTips: false };

/** Distinct for readers with any kind of colour vision (after Okabe and Ito), in light and dark; "other" is grey. */
const PALETTE = {
  light: ["#0b66b8", "#e08e0b", "#0a8f6c", "#c65f9b", "#4aa5d8", "#c4500a", "#8a7ad6", "#8d8a12"],
  dark: ["#4f9fe6", "#e9a63c", "#35b893", "#dd8bb9", "#86c8ee", "#e8804a", "#a99bea", "#c2be4a"],
};
const OTHER = { light: "#9aa3ad", dark: "#6b7580" };

/** Whether the page is dark now, by the switch or by the system. */
export function isDark() {
  const said = document.documentElement.dataset.theme;
  return said ? said === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

const places = new Map();
/** The index of a name's colour in a dimension: the same for as long as the page is open. */
export function hue(dimension, name) {
  if (!places.has(dimension)) places.set(dimension, new Map());
  const seen = places.get(dimension);
  if (!seen.has(name)) seen.set(name, seen.size);
  return seen.get(name) % PALETTE.light.length;
}
/** The colour of an index now; null: of "other". */
export function colour(index) {
  const theme = isDark() ? "dark" : "light";
  return index === null ? OTHER[theme] : PALETTE[theme][index % PALETTE[theme].length];
}

/** Text of apps within a chart's labels, which read some tags: as it is. (Tags like <b> become style attributes, which
 * the page's policy refuses: use `font.weight`.) */
export const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/**
 * A figure: `{label, height, data(theme), layout(theme), table}`. `data` and `layout` are functions, so that another
 * theme can be drawn; `table` is the alternative, a node or a function that makes it. `onpick(point)` gets a click.
 */
export function chart(spec) {
  const id = uid("chart");
  const holder = h("div", { class: "chart", role: "img", "aria-label": spec.label, style: { height: `${spec.height ?? 280}px` }, chart: spec });
  if (!spec.table) return holder;
  const table = typeof spec.table === "function" ? spec.table() : spec.table;
  return h("figure", { class: "figure" }, holder, spec.legend ?? null, h("details", { class: "as-table" }, h("summary", { id }, "Show as table"), table));
}

let loading = null;
function library() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((resolve, reject) => {
    if (!SOURCE) {
      reject(new Error("no chart library"));
      return;
    }
    const script = document.createElement("script");
    script.src = SOURCE;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      loading = null;
      reject(new Error("the chart library did not load"));
    };
    requestAnimationFrame(() => setTimeout(() => document.head.append(script), 0)); // after what is there is painted
  });
  return loading;
}

const drawnSpecs = new WeakMap();
const observed = new ResizeObserver((entries) => {
  for (const { target } of entries) if (target.chart && drawnSpecs.has(target)) draw(target, true);
});

/** Draws the charts below `root` that are new or changed. */
export function drawCharts(root) {
  const holders = [...root.querySelectorAll(".chart")].filter((holder) => holder.chart && drawnSpecs.get(holder) !== holder.chart);
  if (holders.length === 0) return;
  library().then(
    () => holders.forEach((holder) => draw(holder)),
    () => holders.forEach((holder) => holder.closest("figure")?.classList.add("no-chart")),
  );
}

/** Draws all charts again, in the theme that is now. */
export function redrawCharts() {
  for (const holder of document.querySelectorAll(".chart")) if (drawnSpecs.has(holder)) draw(holder);
}

function draw(holder, resized = false) {
  if (!holder.isConnected || !window.Plotly) return;
  const spec = holder.chart;
  const theme = colours();
  const width = holder.clientWidth;
  if (width === 0 || (resized && holder.drawnWidth === width)) return;
  holder.drawnWidth = width;
  drawnSpecs.set(holder, spec);
  const layout = { ...base(theme, width, spec.height ?? 280), ...spec.layout(theme, width) };
  window.Plotly.react(holder, spec.data(theme), layout, CONFIG).then(() => {
    holder.dataset.drawn = "true";
    if (holder.listening) return;
    holder.listening = true;
    observed.observe(holder);
    holder.on("plotly_click", (event) => holder.chart.onpick?.(event.points[0]));
  });
}

/** The page's colours, for layouts. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return { text: of("text"), soft: of("soft"), line: of("line"), panel: of("panel"), accent: of("accent"), good: of("good"), bad: of("bad"), font: style.fontFamily };
}

function base(theme, width, height) {
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: theme.soft };
  return {
    width,
    height,
    autosize: false,
    margin: { l: 56, r: 8, t: 8, b: 28 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font,
    showlegend: false,
    dragmode: false,
    hoverlabel: { bgcolor: theme.panel, bordercolor: theme.line, font: { ...font, color: theme.text }, align: "left", namelength: 28 },
    transition: { duration: 0 },
  };
}

/** An axis of buckets: positions 0..n-1 with as many labels as there is room for. */
export function bucketAxis(theme, labels, width) {
  const room = Math.max(2, Math.floor(width / 72));
  const step = Math.max(1, Math.ceil(labels.length / room));
  const shown = labels.map((_, at) => at).filter((at) => at % step === 0);
  return {
    type: "linear",
    range: [-0.6, labels.length - 0.4],
    tickvals: shown,
    ticktext: shown.map((at) => plain(labels[at])),
    fixedrange: true,
    showgrid: false,
    zeroline: false,
    linecolor: theme.line,
    tickfont: { color: theme.soft, size: 11 },
    showspikes: false,
  };
}

/** Steps below a thousand are written out: SI would say "m" for a thousandth, which people read as a million. */
const TICKS = [
  { dtickrange: [null, 1], value: ",.9~f" },
  { dtickrange: [1, 1000], value: "," },
  { dtickrange: [1000, null], value: "~s" },
];

/** An axis of amounts of dollars from 0. */
export function moneyAxis(theme, prefix = "$") {
  return { tickprefix: prefix, tickformatstops: TICKS, rangemode: "tozero", fixedrange: true, gridcolor: theme.line, zerolinecolor: theme.line, nticks: 5, tickfont: { color: theme.soft, size: 11 } };
}
