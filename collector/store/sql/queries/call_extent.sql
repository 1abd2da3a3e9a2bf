SELECT coalesce(max(revision), 0), count(*)
FROM _ledger.call_log
WHERE revision > $1
