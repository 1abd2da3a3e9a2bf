CREATE OR REPLACE VIEW budgets AS
WITH counter AS (
    SELECT
        sums.org_id,
        sums.budget,
        counted.scope,
        sums.scope_value,
        counted.period,
        CASE WHEN sums.start_ns > 0 THEN CAST(make_timestamp_ns(sums.start_ns) AS TIMESTAMP) END AS period_start,
        counted.unit,
        counted.warn_ppm,
        counted.limit_amount + coalesce((
            SELECT sum(raise_amount)
            FROM _ledger.budget_approval AS approval
            WHERE approval.state = 'approved' AND approval.org_id = sums.org_id AND approval.budget = sums.budget
                AND approval.scope_value = sums.scope_value AND approval.raise_ends_at_ns > epoch_ns(now())
                AND (approval.window_start_ns = sums.start_ns OR counted.rolling_ns > 0)
        ), 0) AS limit_amount,
        CASE counted.unit
            WHEN 'USD' THEN CAST(sums.cost_usd * 1000000000000 AS DECIMAL(38, 0))
            WHEN 'tokens' THEN sums.tokens
            ELSE sums.calls
        END AS spent,
        sums.cost_usd,
        sums.tokens,
        sums.calls,
        sums.unpriced_calls
    FROM (
        SELECT
            row.org_id,
            row.budget,
            row.scope_value,
            CASE
                WHEN counted.rolling_ns = 0 THEN row.window_start_ns
                ELSE epoch_ns(now()) - counted.rolling_ns
            END AS start_ns,
            CAST(sum(row.cost_usd) AS DECIMAL(38, 12)) AS cost_usd,
            CAST(sum(row.tokens) AS DECIMAL(38, 0)) AS tokens,
            CAST(sum(row.calls) AS BIGINT) AS calls,
            CAST(sum(row.unpriced_calls) AS BIGINT) AS unpriced_calls
        FROM _ledger.budget_counter AS row
        JOIN _ledger.budget_counted AS counted ON counted.budget = row.budget
        WHERE counted.rolling_ns = 0 OR row.window_start_ns > epoch_ns(now()) - counted.rolling_ns
        GROUP BY ALL
    ) AS sums
    JOIN _ledger.budget_counted AS counted ON counted.budget = sums.budget
)
SELECT
    org_id,
    budget,
    scope,
    scope_value,
    period,
    period_start,
    CASE WHEN unit = 'USD' THEN CAST(limit_amount * 0.000000000001 AS DECIMAL(38, 12)) END AS limit_usd,
    CASE WHEN unit = 'USD' THEN CAST(cost_usd AS DECIMAL(38, 12)) END AS spent_usd,
    CASE
        WHEN spent > 0 AND spent >= limit_amount THEN 'exceeded'
        WHEN spent > 0 AND spent >= limit_amount * 0.000001 * warn_ppm THEN 'warning'
        ELSE 'ok'
    END AS state,
    unit,
    CASE WHEN unit <> 'USD' THEN limit_amount END AS limit_count,
    CASE WHEN unit <> 'USD' THEN spent END AS spent_count,
    cost_usd,
    tokens,
    calls,
    unpriced_calls
FROM counter
UNION ALL
SELECT org_id, budget, scope, scope_value, period, period_start, limit_usd, spent_usd, state, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM _ledger.budget
