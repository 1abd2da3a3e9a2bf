-- The oldest row may stand for all before it, so only gaps after it are missing rows.
SELECT
    coalesce(max(batch) - min(batch) + 1 - count(*), 0),
    coalesce(max(batch), 0),
    coalesce(max(first_seq + spans - 1), 0),
    coalesce(sum(spans), 0)::BIGINT,
    coalesce(sum(cost_usd), 0)::DECIMAL(38, 12),
    coalesce(max(journal), 0)
FROM _ledger.batch
