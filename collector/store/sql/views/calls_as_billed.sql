CREATE OR REPLACE VIEW calls_as_billed AS
SELECT
    calls.* REPLACE (
        CASE WHEN billed.seq IS NULL THEN calls.model ELSE billed.model END AS model,
        CASE WHEN billed.seq IS NULL THEN calls.cost_usd ELSE billed.cost_usd END AS cost_usd,
        CASE WHEN billed.seq IS NULL THEN calls.cost_status ELSE billed.cost_status END AS cost_status,
        CASE WHEN billed.seq IS NULL THEN calls.cost_reason ELSE billed.cost_reason END AS cost_reason,
        CASE WHEN billed.seq IS NULL THEN calls.card ELSE billed.card END AS card,
        CASE WHEN billed.seq IS NULL THEN calls.rate_row ELSE billed.rate_row END AS rate_row,
        CASE WHEN billed.seq IS NULL THEN calls.flags ELSE billed.flags END AS flags
    ),
    calls.cost_usd AS current_cost_usd,
    calls.cost_status AS current_cost_status,
    calls.card AS current_card,
    billed.run AS price_run
FROM calls
LEFT JOIN _ledger.billed AS billed ON billed.seq = calls.seq
