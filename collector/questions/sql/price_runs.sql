-- Price runs, the latest first.
SELECT
    name,
    applied_at,
    applied_by,
    card,
    cards_before,
    CAST(since AS TIMESTAMP) AS since,
    CAST(until AS TIMESTAMP) AS until,
    models,
    providers,
    organizations,
    calls,
    changed_calls,
    cost_before_usd,
    cost_after_usd,
    delta_usd,
    unpriced_before,
    unpriced_after,
    archived_spans,
    undone_at,
    undone_by
FROM price_runs
WHERE $is_of_all OR organizations = $org
ORDER BY applied_at DESC, batch DESC
LIMIT $limit
