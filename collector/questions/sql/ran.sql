-- The chosen calls as the runs that they are part of: a hash of 64 bits, as in the rollups of docs/sql.md.
SELECT
    {names}
    hash(calls.run) AS execution
FROM {calls} AS calls
{spans}
WHERE {where}
