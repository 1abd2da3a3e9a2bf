CREATE OR REPLACE VIEW budget_events AS
SELECT
    org_id,
    budget,
    scope_value,
    happened_at,
    event,
    spent_usd,
    limit_usd,
    detail,
    event_id,
    CASE WHEN window_start_ns > 0 THEN CAST(make_timestamp_ns(window_start_ns) AS TIMESTAMP) END AS period_start,
    CAST(threshold_ppm * 0.0001 AS DECIMAL(9, 4)) AS threshold_percent,
    unit,
    CASE WHEN unit <> 'USD' THEN limit_amount END AS limit_count,
    CASE WHEN unit <> 'USD' THEN spent END AS spent_count
FROM _ledger.budget_event
