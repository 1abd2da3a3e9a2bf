SELECT
    count(*),
    coalesce(max(batch), 0),
    coalesce(max(first_seq + spans - 1), 0),
    coalesce(sum(spans), 0)::BIGINT,
    coalesce(sum(cost_usd), 0)::DECIMAL(38, 12)
FROM _ledger.batch
