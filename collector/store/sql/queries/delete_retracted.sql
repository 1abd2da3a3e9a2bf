DELETE FROM _ledger.call_log
WHERE seq BETWEEN ? AND ? AND seq IN (SELECT seq FROM call_row)
