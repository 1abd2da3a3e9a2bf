-- Distinct runs of the chosen calls.
SELECT CAST(count(DISTINCT execution) AS BIGINT) AS executions
FROM ran
