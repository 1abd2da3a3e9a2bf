SELECT max(batch), min(first_seq), sum(spans)::BIGINT, sum(cost_usd)::DECIMAL(38, 12), max(committed_at), max(journal)
FROM _ledger.batch
WHERE batch <= ?
