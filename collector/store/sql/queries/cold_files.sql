SELECT file FROM _ledger.segment WHERE cold AND retired_at IS NULL
UNION ALL
SELECT file FROM _ledger.lost_segment WHERE cold
