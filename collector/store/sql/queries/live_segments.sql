SELECT source, first_key, last_key, as_of_batch, row_count, file
FROM _ledger.segment
WHERE source = ? AND retired_at IS NULL
ORDER BY first_key
