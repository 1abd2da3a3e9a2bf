-- Counters of one rule for some scope values.
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
WHERE budget = ? AND list_contains(?::VARCHAR[], scope_value)
GROUP BY org_id, budget, scope_value, window_start_ns
