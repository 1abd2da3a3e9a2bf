// What can wait until the view is whole and the browser has nothing better to do.
const SETTLE_MS = 150; // after the last answer: what it brought is on screen by then
const MOST_MS = 3000; // then it is done whether there is time or not

/** Calls `then` when all panels have answered for `afterMs` and the browser is idle. */
export function whenIdle(then, afterMs = SETTLE_MS) {
  const idle = window.requestIdleCallback ?? ((call) => setTimeout(call, 0));
  const isBusy = () => "moving" in document.body.dataset;
  setTimeout(() => (isBusy() ? whenIdle(then, afterMs) : idle(then, { timeout: MOST_MS })), afterMs);
}
