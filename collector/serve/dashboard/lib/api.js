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

const asking = new Map();

/** `GET path` with parameters, a list of pairs or an object whose values may be lists; null values are left out. */
export function get(path, params = []) {
  const url = address(path, params);
  if (!asking.has(url)) asking.set(url, send(url, { method: "GET" }).finally(() => asking.delete(url)));
  return asking.get(url);
}

/** `POST path` with a JSON body; also "PUT" and "DELETE". */
export function post(path, body = {}, method = "POST") {
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

async function send(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {
    throw new ApiFailure(0, { error: { code: "unreachable", message: "The collector does not answer." } });
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok || body === null) throw new ApiFailure(answer.status, body);
  return body;
}
