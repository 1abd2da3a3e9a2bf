-- The numbers of the chosen calls, for statements that are run elsewhere.
SELECT {names} calls.seq
FROM {calls} AS calls
{spans}
WHERE {where}
