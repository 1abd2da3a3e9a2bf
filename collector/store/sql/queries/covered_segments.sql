SELECT file
FROM _ledger.segment
WHERE source = ? AND first_key >= ? AND last_key <= ? AND retired_at IS NULL
