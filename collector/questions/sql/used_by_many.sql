-- Priced calls per bucket of the $limit values of a name that cost most, whatever the model; NULL is a value too.
SELECT
    facts.bucket,
    CAST(NULL AS VARCHAR) AS model,
    0 AS place,
    facts.key_0 AS value,
    CAST(sum(calls - unpriced_calls) AS BIGINT) AS calls,
    CAST(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FILTER (WHERE unpriced_calls < calls) AS BIGINT) AS tokens,
    CAST(sum(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM facts
JOIN (
    SELECT key_0
    FROM facts
    GROUP BY key_0
    HAVING sum(calls - unpriced_calls) > 0
    ORDER BY sum(cost_usd) DESC, key_0 NULLS LAST
    LIMIT $limit
) AS largest ON largest.key_0 IS NOT DISTINCT FROM facts.key_0
GROUP BY facts.bucket, facts.key_0
HAVING sum(calls - unpriced_calls) > 0
