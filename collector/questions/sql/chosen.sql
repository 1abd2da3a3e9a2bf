-- The chosen calls, whole, beside the names and the bucket that are filled in.
SELECT
    {names}
    calls.*
FROM {calls} AS calls
{spans}
WHERE {where}
