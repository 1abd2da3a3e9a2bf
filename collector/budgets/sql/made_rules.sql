-- Rules made at run time that hold.
SELECT name, definition
FROM _ledger.budget_rule
WHERE deleted_at_ns IS NULL
ORDER BY created_at_ns, name
