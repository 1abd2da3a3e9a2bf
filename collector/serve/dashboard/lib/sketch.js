// The first drawing of a chart: what the library is told, drawn by hand and at once. The library takes a second of work
// before its first line, so it comes when the page is idle, and then draws the same in the same place, for the pointer.
// Where there is no library, this is the chart.
import { svg } from "./dom.js";
import { grouped } from "./format.js";

const STEPS = [2, 5, 10];
const ROOM_ABOVE = 1 / 0.95; // as the library leaves it
const LABEL_PX = 11;
const LINE_PX = 18; // of text in a box of an icicle
const CHAR_PX = 6.6;

/** A drawing of `data` (traces: bar, scatter, pie or icicle, as the views use them) in `layout`. */
export function sketch(data, layout) {
  const shown = data.filter((trace) => trace.mode !== "none");
  const kind = shown[0]?.type;
  const parts = kind === "pie" ? pie(shown[0], layout) : kind === "icicle" ? icicle(shown[0], layout) : plot(shown, layout);
  return svg("svg", { class: "sketch", width: layout.width, height: layout.height, viewBox: `0 0 ${layout.width} ${layout.height}`, "aria-hidden": "true", focusable: "false" }, parts);
}

const text = (said, attributes) => svg("text", { "font-size": LABEL_PX, ...attributes }, unescaped(said));
const unescaped = (said) => String(said).replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

/** Bars that are stacked, and lines, over positions. */
function plot(traces, { width, height, margin, xaxis, yaxis, bargap = 0.2 }) {
  const [right, bottom] = [width - margin.r, height - margin.b];
  const most = highest(traces);
  const [from, to] = xaxis.range;
  const x = (at) => margin.l + ((at - from) / (to - from)) * (right - margin.l);
  const y = (value) => bottom - (value / (most * ROOM_ABOVE || 1)) * (bottom - margin.t);
  const marks = ticks(most * ROOM_ABOVE, yaxis.nticks);
  return [
    marks.map((value) => svg("line", { x1: margin.l, x2: right, y1: y(value), y2: y(value), stroke: yaxis.gridcolor, "shape-rendering": "crispEdges" })),
    bars(traces, x, y, 1 - bargap),
    traces.filter((trace) => trace.type === "scatter").map((trace) => line(trace, x, y)),
    marks.map((value) => text(`${yaxis.tickprefix}${short(value, marks[1])}`, { x: margin.l - 1, y: y(value) + 4, fill: yaxis.tickfont.color, "text-anchor": "end" })),
    xaxis.tickvals.map((at, index) => text(xaxis.ticktext[index], { x: x(at), y: bottom + 14, fill: xaxis.tickfont.color, "text-anchor": "middle" })),
  ];
}

function highest(traces) {
  const stacks = [];
  let most = 0;
  for (const trace of traces) {
    trace.y.forEach((value, at) => {
      const top = trace.type === "bar" ? (stacks[at] = (stacks[at] ?? 0) + (value ?? 0)) : (value ?? 0);
      most = Math.max(most, top + (trace.error_y?.array[at] ?? 0));
    });
  }
  return most;
}

function bars(traces, x, y, share) {
  const stacks = [];
  const half = (x(share) - x(0)) / 2;
  return traces.filter((trace) => trace.type === "bar").map((trace) => trace.x.map((at, index) => {
    const value = trace.y[index];
    if (!value) return null;
    const below = stacks[at] ?? 0;
    stacks[at] = below + value;
    const error = trace.error_y;
    const ends = error && [stacks[at] + error.array[index], stacks[at] - error.arrayminus[index]];
    return [
      svg("rect", { x: x(at) - half, width: 2 * half, y: y(stacks[at]), height: Math.max(0, y(below) - y(stacks[at])), fill: trace.marker.color, opacity: trace.marker.opacity }),
      ends && ends[0] > ends[1] ? svg("path", { d: `M${x(at) - 3} ${y(ends[0])}h6m-3 0V${y(ends[1])}m-3 0h6`, stroke: error.color, fill: "none" }) : null,
    ];
  }));
}

function line({ x: places, y: values, line: said }, x, y) {
  let isDrawing = false;
  const steps = places.map((at, index) => {
    if (values[index] === null) {
      isDrawing = false;
      return "";
    }
    const step = `${isDrawing ? "L" : "M"}${x(at).toFixed(1)} ${y(values[index]).toFixed(1)}`;
    isDrawing = true;
    return step;
  });
  return svg("path", { d: steps.join(""), fill: "none", stroke: said.color, "stroke-width": said.width, "stroke-dasharray": said.dash === "dot" ? `${said.width * 2} ${said.width * 2}` : null });
}

/** Round amounts from 0 to `most`, about `wanted` of them. */
function ticks(most, wanted) {
  if (!(most > 0)) return [0];
  const rough = most / wanted;
  const base = 10 ** Math.floor(Math.log10(rough));
  const step = base * STEPS.find((one) => one >= rough / base - 1e-9);
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, at) => at * step);
}

/** As `moneyAxis` has it. */
function short(value, step = 1) {
  const plain = (number, most) => {
    const [whole, part] = number.toFixed(most).split(".");
    const rest = part.replace(/0+$/, "");
    return grouped(whole) + (rest && `.${rest}`);
  };
  if (step < 1) return plain(value, 9);
  if (step < 1000) return plain(value, 2);
  return value >= 1e6 ? `${plain(value / 1e6, 3)}M` : value ? `${plain(value / 1e3, 3)}k` : "0";
}

/** A ring of parts, clockwise from the top, with the text of the layout in its middle. */
function pie({ values, hole, marker }, { width, height, margin, annotations = [] }) {
  const [cx, cy] = [(margin.l + width - margin.r) / 2, (margin.t + height - margin.b) / 2];
  const radius = Math.min(width - margin.l - margin.r, height - margin.t - margin.b) / 2;
  const total = values.reduce((all, value) => all + value, 0) || 1;
  const thick = radius * (1 - hole);
  const around = 2 * Math.PI * (radius - thick / 2);
  let before = 0;
  const rings = values.map((value, at) => {
    const part = value / total;
    const gap = values.length > 1 ? 1 : 0;
    const ring = svg("circle", { cx, cy, r: radius - thick / 2, fill: "none", stroke: marker.colors[at], "stroke-width": thick, "stroke-dasharray": `${Math.max(0.5, part * around - 2 * gap)} ${around}`, "stroke-dashoffset": -(before * around + gap), transform: `rotate(-90 ${cx} ${cy})` });
    before += part;
    return ring;
  });
  return [rings, annotations.map((one) => text(one.text, { x: cx, y: cy + one.font.size / 3, fill: one.font.color, "font-size": one.font.size, "font-weight": one.font.weight, "text-anchor": "middle" }))];
}

/** Boxes below boxes, each as wide as it and what is below it have cost. */
function icicle({ ids, labels, parents, values, customdata, marker, pathbar, textfont }, { width, height }) {
  const children = new Map(ids.map((id) => [id, []]));
  const roots = [];
  ids.forEach((id, at) => (children.get(parents[at]) ?? roots).push(at));
  const wholes = new Map();
  const whole = (at) => {
    if (!wholes.has(at)) wholes.set(at, values[at] + children.get(ids[at]).reduce((all, child) => all + whole(child), 0));
    return wholes.get(at);
  };
  const depth = (at) => 1 + Math.max(0, ...children.get(ids[at]).map(depth));
  const top = pathbar.thickness + 2;
  const [root] = roots;
  if (root === undefined) return [];
  const tall = (height - top) / depth(root);
  const scale = width / (whole(root) || 1);
  const drawn = [];
  const draw = (at, x, level) => {
    const wide = whole(at) * scale;
    if (wide < 1) return;
    drawn.push(box(x, top + level * tall, wide - 2, tall - 2, marker.colors[at], textfont.color[at], labels[at], customdata[at]));
    let next = x;
    for (const child of children.get(ids[at])) {
      draw(child, next, level + 1);
      next += whole(child) * scale;
    }
  };
  draw(root, 0, 0);
  return drawn;
}

function box(x, y, wide, tall, fill, ink, ...lines) {
  const fits = Math.floor((wide - 8) / CHAR_PX);
  const said = fits < 4 ? [] : lines.slice(0, Math.floor(tall / LINE_PX)).map(unescaped).filter((one) => one.length <= fits);
  return [svg("rect", { x, y, width: Math.max(0.5, wide), height: Math.max(0.5, tall), fill }), said.map((one, at) => text(one, { x: x + 4, y: y + 14 + at * 16, "font-size": 12, fill: ink }))];
}
