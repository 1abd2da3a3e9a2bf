INSERT INTO _ledger.segment
SELECT source, first_key, last_key, as_of_batch, row_count, file, $2::TIMESTAMP
FROM _ledger.segment
WHERE file = $1 AND retired_at IS NULL
