// A run's agents: the same colours and bars in the list of runs and in one of them.
import { colour, hue } from "./charts.js";
import { named, percent } from "./format.js";
import { bar } from "./spark.js";

/** The colour of an agent's part; nobody's is grey. */
export const agentHue = (agent) => (agent === null ? null : hue("agent", agent));

/** A run's cost by agent, as one bar. */
export function agentBar(agents) {
  const parts = agents.filter((share) => share.share > 0);
  return bar(parts.map((share) => ({ ratio: share.share, fill: colour(agentHue(share.agent)), label: `${named(share.agent)}: ${percent(share.share)}` })), { label: parts.map((share) => `${named(share.agent)} ${percent(share.share)}`).join(", ") || "no cost known" });
}

/** Ids are shortened, names are not. */
export const runName = (run) => (/^[0-9a-f]{32}$/.test(run) ? `${run.slice(0, 12)}…` : run);
