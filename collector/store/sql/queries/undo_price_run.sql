-- The log entry of a run, as one that was undone; the one in force is deleted after it.
INSERT INTO _ledger.price_run
SELECT * REPLACE (CAST(? AS TIMESTAMP) AS undone_at, CAST(? AS VARCHAR) AS undone_by)
FROM _ledger.price_run
WHERE name = ? AND undone_at IS NULL
