-- How the cost of each run divides among its agents: run, agent.
SELECT
    key_0,
    key_1,
    CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd,
    CAST(sum(unpriced_calls) AS BIGINT) AS unpriced_calls
FROM facts
GROUP BY key_0, key_1
ORDER BY key_0, cost_usd DESC, key_1 NULLS LAST
