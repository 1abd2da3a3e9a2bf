-- Who changed what, the newest first.
SELECT at_ns, actor, action, subject, before, after
FROM _ledger.budget_audit
ORDER BY at_ns DESC
LIMIT ?
