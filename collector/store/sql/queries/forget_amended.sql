DELETE FROM _ledger.amendment
WHERE seq BETWEEN ? AND ? AND seq IN (SELECT seq FROM amended)
