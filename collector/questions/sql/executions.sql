-- Distinct runs per key of the chosen calls.
SELECT
    {named},
    CAST(count(DISTINCT execution) AS BIGINT) AS executions
FROM ran
GROUP BY {named}
