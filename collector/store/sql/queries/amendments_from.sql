-- Verdicts that took the place of a segment's, from one seq on.
SELECT * FROM _ledger.amendment WHERE seq >= ?
