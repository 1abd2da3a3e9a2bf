// The state of the page is its URL, with the API's own parameter names, and nothing else. See docs/dashboard.md.

/** The twelve filters, and the parameters of the API that each stands for. */
export const FILTERS = [
  { label: "Environment", keys: ["environment"] },
  { label: "Provider", keys: ["provider"] },
  { label: "Model", keys: ["model", "request_model", "response_model"] },
  { label: "Agent", keys: ["agent"] },
  { label: "Run", keys: ["run", "trace_id"] },
  { label: "Conversation", keys: ["conversation"] },
  { label: "Customer", keys: ["customer"] },
  { label: "Feature", keys: ["feature"] },
  { label: "Team, user, project", keys: ["team", "user", "project"] },
  { label: "Status", keys: ["status"] },
  { label: "Price and tier", keys: ["cost_status", "service_tier"] },
  { label: "Service and operation", keys: ["service_name", "operation"] },
];
export const FILTER_KEYS = FILTERS.flatMap((filter) => filter.keys);
export const ATTRIBUTE = "attr.";
const TIMES = ["since", "until", "tz"];
const ZONE_KEY = "otel-cost.tz";

const WORDS = {
  request_model: "requested model", response_model: "served model", trace_id: "trace", cost_status: "price", service_tier: "tier", service_name: "service",
};
/** A parameter's name as people say it. */
export const said = (key) => WORDS[key] ?? (key.startsWith(ATTRIBUTE) ? key.slice(ATTRIBUTE.length) : key);
/** The same at the start of a line. */
export const heading = (key) => (key.startsWith(ATTRIBUTE) ? said(key) : said(key).replace(/^./, (first) => first.toUpperCase()));

const isFilter = (key) => FILTER_KEYS.includes(key) || key.startsWith(ATTRIBUTE);

/** What a query says: `{view, since, until, tz, filters: Map(key -> values), own: Map(name -> values)}`. */
export function read(search = location.search) {
  const state = { view: "overview", since: null, until: null, tz: null, filters: new Map(), own: new Map() };
  for (const [key, value] of new URLSearchParams(search)) {
    if (key === "view") state.view = value;
    else if (TIMES.includes(key)) state[key] = value || null;
    else {
      const kept = isFilter(key) ? state.filters : state.own;
      kept.set(key, [...(kept.get(key) ?? []), value]);
    }
  }
  return state;
}

/** The query of a state: `?view=...`. What is as it is by default is left out. */
export function query(state) {
  const params = new URLSearchParams();
  if (state.view !== "overview") params.append("view", state.view);
  for (const key of TIMES) if (state[key]) params.append(key, state[key]);
  for (const kept of [state.filters, state.own]) for (const [key, values] of kept) for (const value of values) params.append(key, value);
  return `?${params}`;
}

/**
 * A state with changes: `{view, since, until, tz, filters: {key: values|null}, own: {name: value|values|null}}`. Another
 * view drops the parameters that the former had for itself.
 */
export function changed(state, changes) {
  const { filters = {}, own = {}, ...rest } = changes;
  const other = rest.view !== undefined && rest.view !== state.view;
  const made = { ...state, ...rest, filters: new Map(state.filters), own: other ? new Map() : new Map(state.own) };
  merge(made.filters, filters);
  merge(made.own, own);
  return made;
}

function merge(kept, changes) {
  for (const [key, value] of Object.entries(changes)) {
    const values = value === null ? [] : Array.isArray(value) ? value : [String(value)];
    if (values.length === 0) kept.delete(key);
    else kept.set(key, values);
  }
}

/** Parameters of the API for the calls that the page is about: a list of pairs. */
export function selection(state) {
  const pairs = TIMES.filter((key) => state[key]).map((key) => [key, state[key]]);
  for (const [key, values] of state.filters) for (const value of values) pairs.push([key, value]);
  return pairs;
}

/** The state in which the page is opened: a link says which days it means, or they are those that were chosen last. */
export function opening() {
  const state = read();
  return state.tz ? state : { ...state, tz: remembered(ZONE_KEY) };
}

/** Holds the current state, moves it, and tells whoever listens. */
export class Location {
  constructor(listener) {
    this.state = opening();
    history.replaceState(null, "", query(this.state));
    window.addEventListener("popstate", () => {
      this.state = read();
      listener();
    });
    document.addEventListener("click", (event) => this.followed(event));
    this.listener = listener;
  }

  /** Goes to another state; with `replace`, "back" does not return to the one before. */
  go(changes, { replace = false } = {}) {
    const next = changed(this.state, changes);
    if (changes.tz !== undefined) remember(ZONE_KEY, changes.tz);
    if (query(next) === query(this.state)) return;
    this.state = next;
    history[replace ? "replaceState" : "pushState"](null, "", query(next));
    this.listener();
  }

  followed(event) {
    const link = event.target.closest && event.target.closest("a[href^='?']");
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const kept = this.state;
    this.state = read(link.getAttribute("href"));
    if (!this.state.tz) this.state.tz = kept.tz;
    if (query(this.state) !== location.search) history.pushState(null, "", query(this.state));
    this.listener();
  }
}

/** What this browser keeps under a name; null where it keeps nothing, or may not. */
export function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keeps text under a name; null forgets it. */
export function remember(key, text) {
  try {
    if (text === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {
    // a browser that keeps nothing still shows the page
  }
}
