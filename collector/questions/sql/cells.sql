-- Sums per key of the chosen calls, and per bucket where it is one of the names.
SELECT
    {named},
    {measures}
FROM facts
GROUP BY {named}
ORDER BY {named}
