// Charts: drawn at once by hand (sketch.js), and by Plotly as soon as the page has nothing else to do or somebody points at
// one. Every chart has a table.
import { fill, h, uid } from "./dom.js";
import { whenIdle } from "./idle.js";
import { sketch } from "./sketch.js";

const SOURCE = document.querySelector('meta[name="otel-cost-charts"]')?.content ?? "";
const LIBRARY_MS = 1500; // reading it takes half a second of the browser's only thread: not while somebody may just be clicking on
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

/** Text that can be read on a colour (relative luminance of WCAG 2). */
export function ink(fill) {
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(fill.slice(at, at + 2), 16) / 255).map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#10151b" : "#ffffff";
}

/** Text of apps within a chart's labels, which read some tags: as it is. (Tags like <b> become style attributes, which
 * the page's policy refuses: use `font.weight`.) */
export const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/**
 * A figure: `{label, height, data(theme), layout(theme), table}`. `data` and `layout` are functions, so that another
 * theme can be drawn; `table` makes the alternative. `onpick(point)` gets a click.
 */
export function chart(spec) {
  const id = uid("chart");
  const holder = h("div", { class: "chart", role: "img", "aria-label": spec.label, style: { height: `${spec.height ?? 280}px` }, chart: spec });
  if (!spec.table) return holder;
  const table = h("div", { class: "rows", chart: spec });
  return h("figure", { class: "figure" }, holder, spec.legend ?? null, h("details", { class: "as-table", ontoggle: (event) => fillTable(event.target) }, h("summary", { id }, "Show as table"), table));
}

/** The rows of a chart, once somebody wants to see them: a year of days has thousands of cells. */
function fillTable(details) {
  const rows = details.querySelector(":scope > .rows");
  if (details.open) fill(rows, rows.chart.table());
}

let loading = null;
function library() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = SOURCE;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      loading = null;
      reject(new Error("the chart library did not load"));
    };
    document.head.append(script);
  });
  return loading;
}

const shownSpecs = new WeakMap(); // holder -> what its drawing shows, and which theme and width that has
const isShown = (holder, how) => ["spec", "theme", "width"].every((key) => shownSpecs.get(holder)?.[key] === how[key]);
const isLively = (holder) => holder.dataset.drawn === "true";
const observed = new ResizeObserver((entries) => {
  for (const { target } of entries) if (target.chart && target.isConnected) show(target);
});

/** Draws the charts below `root` that are new or changed. */
export function drawCharts(root) {
  for (const holder of root.querySelectorAll(".chart")) if (holder.chart) show(holder);
  for (const details of root.querySelectorAll(".as-table[open]")) fillTable(details);
}

/** Draws all charts again, in the theme that is now. */
export const redrawCharts = () => drawCharts(document);

function show(holder) {
  const how = { spec: holder.chart, theme: isDark(), width: holder.clientWidth };
  if (how.width === 0 || isShown(holder, how)) return;
  shownSpecs.set(holder, how);
  if (isLively(holder)) {
    enliven(holder);
    return;
  }
  const { data, layout } = drawing(holder);
  holder.replaceChildren(sketch(data, layout));
  holder.dataset.drawn = "sketch";
  observed.observe(holder);
  holder.onpointerenter ??= () => soon(holder);
  whenIdle(() => soon(holder), window.Plotly ? undefined : LIBRARY_MS);
}

/** What the holder's spec says for the theme and the width that are now. */
function drawing(holder) {
  const { chart: spec, clientWidth: width } = holder;
  const theme = colours();
  return { data: spec.data(theme), layout: { ...base(theme, width, spec.height ?? 280), ...spec.layout(theme, width) } };
}

/** Has the library draw what is a sketch. */
function soon(holder) {
  if (!SOURCE || isLively(holder) || !holder.isConnected) return;
  library().then(() => enliven(holder), () => {});
}

function enliven(holder) {
  if (!holder.isConnected) return;
  const { data, layout } = drawing(holder);
  const first = !isLively(holder);
  const drawn = first ? h("div", { class: "lively" }) : holder.firstChild;
  if (first) holder.append(drawn); // over the sketch, which stays until this is whole
  holder.dataset.drawn = "true";
  window.Plotly.react(drawn, data, layout, CONFIG).then(() => {
    if (!first) return;
    holder.replaceChildren(drawn);
    drawn.on("plotly_click", (event) => holder.chart.onpick?.(event.points[0]));
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
