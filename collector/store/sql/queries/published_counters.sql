-- Counters that the views may show, totals and then the newest windows first; of rolling windows the buckets that count now.
SELECT counter.*
FROM (
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
    GROUP BY org_id, budget, scope_value, window_start_ns
) AS counter
JOIN _ledger.budget_counted AS counted USING (budget)
WHERE counted.rolling_ns = 0 OR counter.window_start_ns > epoch_ns(now()) - counted.rolling_ns
ORDER BY counted.period = 'total' DESC, counter.window_start_ns DESC
