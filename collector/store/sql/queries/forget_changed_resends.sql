-- All but the newest.
DELETE FROM _ledger.changed_resend
WHERE rowid < (SELECT max(rowid) + 1 - ? FROM _ledger.changed_resend)
