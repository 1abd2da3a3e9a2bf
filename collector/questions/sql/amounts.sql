-- What budgets and projections add up, per key of the chosen calls.
SELECT
    {named},
    CAST(sum(calls) AS BIGINT) AS calls,
    CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd,
    CAST(coalesce(sum(input_tokens), 0) + coalesce(sum(output_tokens), 0) AS BIGINT) AS tokens
FROM facts
GROUP BY {named}
ORDER BY {named}
