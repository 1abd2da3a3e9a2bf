// Before the first paint, as a classic script: the colours, so that the page never flashes in the other ones, and the
// questions of the view that the address names. The page's own script asks the same, but only when the browser has read
// it, and on a busy machine that takes longer than some answers. It then finds these under way (`get`).
import { askEarly } from "./lib/api.js";
import { opening, remembered, selection } from "./lib/state.js";

const wanted = remembered("otel-cost.theme");
if (wanted === "dark" || wanted === "light") document.documentElement.dataset.theme = wanted;

/** What each view asks as it is opened first, word for word: another word would be another question, and both be asked. */
const QUESTIONS = {
  overview(ask) {
    ask("/ticker");
    ask("/timeseries", { by: "provider", bucket: "auto", limit: 8 });
    for (const by of ["model", "agent", "customer"]) ask("/breakdown", { by, limit: 5 });
  },
  breakdown(ask, own) {
    ask("/breakdown", { by: own.get("by") ?? ["agent"], sort: "cost", limit: 50, compare: "previous", executions: "true", sparkline: "day" });
  },
  models(ask) {
    ask("/timeseries", { by: "model", bucket: "day", limit: 6 });
    ask("/models", { limit: 25, executions: "true" });
  },
  runs(ask, own) {
    const [run] = own.get("id") ?? [];
    if (run === undefined) ask("/runs", { sort: "cost", limit: 25 });
    else ask(`/runs/${encodeURIComponent(run)}`);
  },
  agents(ask) {
    ask("/agents", { compare: "previous", executions: "true", sparkline: "day", sort: "cost", limit: 50 });
    ask("/timeseries", { by: "agent", limit: 7, bucket: "auto" });
    ask("/breakdown", { by: ["agent", "model"], limit: 200 });
  },
  customers(ask) {
    ask("/customers", { compare: "previous", executions: "true", sparkline: "day", sort: "cost", limit: 50 });
    ask("/ticker");
    ask("/timeseries", { by: "customer", limit: 7, bucket: "auto" });
  },
  forecast(ask) {
    ask("/projections");
    ask("/anomalies");
  },
  waste(ask) {
    ask("/waste");
    ask("/spend");
  },
  prices(ask) {
    ask("/unpriced");
    ask("/breakdown", { by: "cost_status", limit: 10 });
    ask("/price-runs");
    ask("/prices", { used: "true", limit: 40 });
  },
  "what-if"(ask) {
    ask("/compare", { by: "agent", limit: 50, most: 10_000 });
  },
};
/** Settings of views that these questions know of; with any other the page's own script asks. */
const KNOWN = { breakdown: ["by"], runs: ["id"] };

const state = opening();
const isPlain = [...state.own.keys()].every((key) => KNOWN[state.view]?.includes(key));
if (isPlain && Object.hasOwn(QUESTIONS, state.view)) QUESTIONS[state.view]((path, params = {}) => askEarly(path, params, selection(state)), state.own);
