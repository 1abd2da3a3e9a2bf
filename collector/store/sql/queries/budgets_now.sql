-- Counters of budgets that may still move: of each budget and value the newest window.
SELECT org_id, budget, scope, scope_value, period, period_start, unit, limit_usd, spent_usd, limit_count, spent_count
FROM budgets
WHERE period IS DISTINCT FROM 'run' AND unit IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY org_id, budget, scope_value ORDER BY period_start DESC NULLS LAST) = 1
ORDER BY org_id, budget, scope_value
