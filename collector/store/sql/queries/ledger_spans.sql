SELECT count(*), coalesce(max(seq), 0), coalesce(sum(cost_usd), 0)::DECIMAL(38, 12)
FROM _ledger.span_log
