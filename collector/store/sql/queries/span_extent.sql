SELECT coalesce(max(seq), 0), count(*) FILTER (WHERE seq > $1)
FROM _ledger.span_log
WHERE seq > $1
