// News from the collector: its stream of events, and a look now and then where the stream does not come through.
import { address, forget, get, isOf } from "./api.js";

const POLL_MS = 10_000;
const TRIES = 3;
const LEAST_MS = 2000;
const EASE = 4; // between two looks at least this many times what the last one took: many open pages cost little
const MOST_MS = 10_000;
const SETTLED_MS = 5000;

/** Calls `onchange()` after changes of the ledger, one at a time and not too often, and `onbudget(event)` at once. */
export class Live {
  constructor({ onchange, onbudget, onstate }) {
    this.onchange = onchange;
    this.onbudget = onbudget;
    this.onstate = onstate;
    this.paused = false;
    this.failures = 0;
    this.last = null;
    this.shown = "connecting";
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.waiting) this.soon();
    });
  }

  start() {
    this.stop();
    if (this.failures >= TRIES || !window.EventSource) {
      this.poll();
      return;
    }
    const source = (this.source = new EventSource(address("/stream")));
    source.onopen = () => {
      this.failures = 0;
      this.state("live");
    };
    source.addEventListener("changed", (event) => this.news(JSON.parse(event.data)));
    source.addEventListener("budget", (event) => this.onbudget(JSON.parse(event.data).event));
    source.onerror = () => {
      this.failures += 1;
      this.state("reconnecting");
      if (source.readyState === EventSource.CLOSED || this.failures >= TRIES) this.start();
    };
  }

  stop() {
    this.source?.close();
    this.source = null;
    clearInterval(this.timer);
  }

  poll() {
    this.state("polling");
    this.timer = setInterval(async () => {
      if (document.hidden || this.paused) return;
      try {
        forget();
        const answer = await get("/ticker");
        this.state("polling");
        this.news(answer);
      } catch (error) {
        this.state("offline");
        if (error.status === 401) this.onchange(); // the panels then show the login
      }
    }, POLL_MS);
  }

  news(said) {
    const now = said.as_of; // spans are not all that changes: a price run brings none
    if (now === this.last) return;
    const isKnown = this.last === null && (isOf(said.as_of) || Date.parse(said.as_of) < Date.now() - SETTLED_MS); // said on connecting: the page has just asked
    this.last = now;
    if (isKnown) return;
    this.waiting = true;
    this.soon();
  }

  async soon() {
    if (this.paused || document.hidden || this.busy) return;
    this.busy = true;
    const wait = Math.max(0, (this.next ?? 0) - performance.now());
    await new Promise((resolve) => setTimeout(resolve, wait));
    this.waiting = false;
    const began = performance.now();
    try {
      if (!this.paused) await this.onchange();
    } finally {
      const took = performance.now() - began;
      this.next = performance.now() + Math.min(MOST_MS, Math.max(LEAST_MS, EASE * took));
      this.busy = false;
      if (this.waiting) this.soon();
    }
  }

  pause(paused) {
    this.paused = paused;
    this.state(this.shown);
    if (!paused) {
      this.waiting = true;
      this.soon();
    }
  }

  state(shown) {
    this.shown = shown;
    this.onstate(this.paused ? "paused" : shown);
  }
}
