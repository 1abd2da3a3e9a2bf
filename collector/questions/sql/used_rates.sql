-- Rows of rate cards that priced the chosen calls.
SELECT DISTINCT rate_row
FROM chosen
WHERE rate_row IS NOT NULL
ORDER BY rate_row
