-- Counters of one rule from the start of a window or bucket on.
SELECT
    org_id,
    budget,
    scope_value,
    window_start_ns,
    CAST(sum(cost_usd) AS DECIMAL(38, 12)) AS cost_usd,
    CAST(sum(tokens) AS DECIMAL(38, 0)) AS tokens,
    CAST(sum(calls) AS BIGINT) AS calls,
    CAST(sum(unpriced_calls) AS BIGINT) AS unpriced_calls
FROM _ledger.budget_counter
WHERE budget = ? AND window_start_ns >= ?
GROUP BY org_id, budget, scope_value, window_start_ns
