// Every view of the page, in the order of the navigation. A view is a module that exports `panels(page)`.
import { panels as agents } from "./agents.js";
import { panels as breakdown } from "./breakdown.js";
import { panels as budgets } from "./budgets.js";
import { panels as customers } from "./customers.js";
import { panels as forecast } from "./forecast.js";
import { panels as models } from "./models.js";
import { panels as overview } from "./overview.js";
import { panels as prices } from "./prices.js";
import { panels as runs } from "./runs.js";
import { panels as waste } from "./waste.js";
import { panels as whatIf } from "./what_if.js";

export const VIEWS = [
  { id: "overview", title: "Overview", panels: overview },
  { id: "breakdown", title: "Breakdown", panels: breakdown },
  { id: "models", title: "Models", panels: models },
  { id: "runs", title: "Runs", panels: runs },
  { id: "agents", title: "Agents", panels: agents },
  { id: "customers", title: "Customers", panels: customers },
  { id: "budgets", title: "Budgets", filters: false, panels: budgets },
  { id: "forecast", title: "Forecast", panels: forecast },
  { id: "what-if", title: "What if", panels: whatIf },
  { id: "waste", title: "Waste", panels: waste },
  { id: "prices", title: "Prices", panels: prices },
];
