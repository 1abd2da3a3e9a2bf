// Asks the collector, and turns its one error body into one kind of error.

const BASE = "/api/v1";

/** An answer that is an error: `status`, and the body's `code`, `message`, `where` and `allowed`. Status 0: no answer. */
export class ApiFailure extends Error {
  constructor(status, body) {
    const error = (body && body.error) || { code: "unknown", message: `HTTP ${status}` };
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.where = error.where ?? null;
    this.allowed = error.allowed ?? null;
  }
}

const KEPT_MS = 15_000;
/** Answers hold until there is news (`forget`), but no longer than this: ages and "today" move without any. */
const kept = new Map(); // address -> {promise, until, asOf}

/**
 * `GET path` with parameters, a list of pairs or an object whose values may be lists; null values are left out. Who asks
 * the same while nothing has changed gets the same answer: panels that share one, and a view that is opened again.
 */
export function get(path, params = []) {
  const url = address(path, params);
  const known = kept.get(url);
  if (known && performance.now() < known.until) return known.promise;
  const asked = { promise: send(url, { method: "GET" }, early(url)), until: Infinity };
  kept.set(url, asked);
  const drop = () => kept.get(url) === asked && kept.delete(url);
  asked.promise.then((answer) => Object.assign(asked, { until: performance.now() + KEPT_MS, asOf: answer.as_of }), drop);
  return asked.promise;
}

/** Whether what is at hand is of the publication of an instant, or of a later one; answers that do not say are not asked. */
export function isOf(instant) {
  const instants = [...kept.values()].filter((asked) => asked.until === Infinity || asked.asOf).map((asked) => Date.parse(asked.asOf));
  return instants.length > 0 && instants.every((one) => one >= Date.parse(instant));
}

/** Asks before the page's own script is there (early.js), for whoever asks the same in it. */
export function askEarly(path, params, chosen) {
  const url = address(path, [...chosen, ...pairs(params)]);
  const answer = fetch(url);
  answer.catch(() => {}); // who takes it will tell
  (window.earlyAnswers ??= new Map()).set(url, answer);
}

/** What was asked early, once; nothing long after the page was opened, when it may not hold any more. */
function early(url) {
  const answer = performance.now() < KEPT_MS ? window.earlyAnswers?.get(url) : null;
  window.earlyAnswers?.delete(url);
  return answer;
}

/** There is news: everything is asked anew. */
export function forget() {
  window.earlyAnswers?.clear();
  kept.clear();
}

/** `POST path` with a JSON body; also "PUT" and "DELETE". */
export async function post(path, body = {}, method = "POST") {
  try {
    return await sent(path, body, method);
  } finally {
    forget();
  }
}

function sent(path, body, method) {
  return send(address(path), { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
}

/** The address of an answer, for links such as downloads. */
export function address(path, params = []) {
  const made = new URLSearchParams(pairs(params));
  return `${BASE}${path}${made.size ? `?${made}` : ""}`;
}

/** Parameters as a list of pairs, without those that are null. */
export function pairs(params) {
  const listed = Array.isArray(params) ? params : Object.entries(params).flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => [key, one]));
  return listed.filter(([, value]) => value !== null && value !== undefined);
}

async function send(url, options, underWay = null) {
  let answer;
  try {
    answer = await (underWay ?? fetch(url, options));
  } catch {
    throw new ApiFailure(0, { error: { code: "unreachable", message: "The collector does not answer." } });
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok || body === null) throw new ApiFailure(answer.status, body);
  return body;
}
