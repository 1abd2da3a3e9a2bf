// Every view of the page, in the order of the navigation. A view is a module that exports `panels(page)`; it is loaded
// when it is first opened. `live`: whether it looks again when new spans come.
export const VIEWS = [
  { id: "overview", title: "Overview", load: () => import("./overview.js") },
  { id: "breakdown", title: "Breakdown", load: () => import("./breakdown.js") },
  { id: "models", title: "Models", load: () => import("./models.js") },
];
