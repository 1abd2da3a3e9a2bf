// Every view of the page, in the order of the navigation. A view is a module that exports `panels(page)`; it is loaded
// when it is first opened.
export const VIEWS = [
  { id: "overview", title: "Overview", load: () => import("./overview.js") },
  { id: "breakdown", title: "Breakdown", load: () => import("./breakdown.js") },
  { id: "models", title: "Models", load: () => import("./models.js") },
  { id: "runs", title: "Runs", load: () => import("./runs.js") },
  { id: "agents", title: "Agents", load: () => import("./agents.js") },
  { id: "customers", title: "Customers", load: () => import("./customers.js") },
  { id: "budgets", title: "Budgets", filters: false, load: () => import("./budgets.js") },
  { id: "forecast", title: "Forecast", load: () => import("./forecast.js") },
  { id: "what-if", title: "What if", load: () => import("./what_if.js") },
  { id: "waste", title: "Waste", load: () => import("./waste.js") },
  { id: "prices", title: "Prices", load: () => import("./prices.js") },
];
