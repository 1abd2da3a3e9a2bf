// What is shown where there is nothing to show, and what to do about it.
import { get } from "./api.js";
import { h } from "./dom.js";
import { query, changed, said } from "./state.js";

/** An answer that is an error, with the body's own words, and a button that asks again. */
export function failure(error, again) {
  return h(
    "div",
    { class: "failure", role: "alert" },
    h("p", {}, h("strong", {}, error.where ? `${error.where}: ` : ""), error.message),
    error.allowed ? h("p", { class: "soft" }, `Allowed: ${error.allowed}`) : null,
    error.code ? h("p", { class: "soft" }, error.status ? `${error.code}, HTTP ${error.status}` : error.code) : null,
    again ? h("button", { type: "button", onclick: again }, "Try again") : null,
  );
}

/** A calm notice: a heading, what it means, and links or code. */
export function empty(title, ...more) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), more);
}

/** Code that people copy. */
export const code = (text) => h("pre", { tabindex: "0", role: "region", "aria-label": "Example" }, h("code", {}, text));

/**
 * Why a selection has no calls: the ledger has none at all, or the filters and times leave none. Resolves to a node.
 */
export async function nothing(page) {
  const ledger = await get("/ticker", { tz: page.state.tz }).catch(() => null);
  if (ledger && !ledger.freshness.last_span_at) return firstSpan();
  const links = [];
  if (page.state.filters.size) links.push(h("a", { href: query({ ...page.state, filters: new Map() }) }, "Remove the filters"));
  if (page.state.since !== "all") links.push(h("a", { href: query(changed(page.state, { since: "all", until: null })) }, "Look at all times"));
  return empty("No model calls here", h("p", {}, "The ledger has calls, but none that pass these filters in this time."), h("p", { class: "links" }, links));
}

/** How to send the first span. */
export function firstSpan() {
  return empty(
    "The ledger is empty: no span has arrived yet",
    h("p", {}, "Send spans to this collector over OTLP. A Python app needs one line and one variable:"),
    code("pip install otel-cost opentelemetry-distro opentelemetry-exporter-otlp\nOTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 opentelemetry-instrument python app.py"),
    h("p", {}, "Any other exporter of OpenTelemetry GenAI spans will do: gRPC on port 4317, HTTP on port 4318. This page shows the first call as soon as it is there."),
  );
}

const SETTERS = {
  agent: ['with otel_cost.agent("vision"):\n    ...', "gen_ai.agent.name on the agent's span, or otel_cost.agent"],
  run: ['with otel_cost.run("invoice-42"):\n    ...', "otel_cost.run on any span of the run"],
  model: [null, "gen_ai.request.model or gen_ai.response.model on the call's span"],
  provider: [null, "gen_ai.provider.name on the call's span"],
};

/** Which attribute a dimension is read from, and how an app sets it. */
export function missing(dimension) {
  const name = said(dimension);
  const own = dimension.startsWith("attr.");
  const [python, attribute] = SETTERS[dimension] ?? [
    own ? null : `with otel_cost.tags(${dimension}="..."):\n    ...`,
    own ? `the attribute ${name} on the call's span` : `otel_cost.${dimension} on the span, or in OTEL_RESOURCE_ATTRIBUTES`,
  ];
  return empty(
    `No call says its ${name}`,
    h("p", {}, "It is read from ", h("code", {}, attribute), "."),
    python ? [h("p", {}, "In a Python app, once around the work; every call inside inherits it:"), code(`import otel_cost\n\n${python}`)] : null,
    python && !["agent", "run"].includes(dimension) ? [h("p", {}, "Or for a whole process, without a change of code:"), code(`OTEL_RESOURCE_ATTRIBUTES="otel_cost.${dimension}=..."`)] : null,
  );
}
