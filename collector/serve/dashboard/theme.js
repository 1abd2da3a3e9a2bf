// Before the first paint, so that the page never flashes in the other colours. A classic script: modules come later.
(function () {
  "use strict";
  var wanted = null;
  try { wanted = localStorage.getItem("otel-cost.theme"); } catch (error) { wanted = null; }
  if (wanted === "dark" || wanted === "light") document.documentElement.dataset.theme = wanted;
})();
