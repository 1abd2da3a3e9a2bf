CREATE OR REPLACE VIEW price_runs AS
SELECT
    name,
    batch,
    applied_at,
    applied_by,
    card,
    cards_before,
    since,
    until,
    models,
    providers,
    organizations,
    calls,
    changed_calls,
    cost_before_usd,
    cost_after_usd,
    CAST(cost_after_usd - cost_before_usd AS DECIMAL(38, 12)) AS delta_usd,
    unpriced_before,
    unpriced_after,
    archived_spans,
    undone_at,
    undone_by
FROM _ledger.price_run
