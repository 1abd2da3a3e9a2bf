-- Sums over all chosen calls.
SELECT
    {measures}
FROM facts
