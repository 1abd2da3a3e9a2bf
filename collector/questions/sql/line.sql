-- One measure per bucket.
SELECT
    bucket,
    CAST(coalesce(sum({value}), 0) AS DECIMAL(38, 12)) AS value,
    CAST(coalesce(sum(calls), 0) AS BIGINT) AS calls,
    CAST(coalesce(sum(unpriced_calls), 0) AS BIGINT) AS unpriced_calls
FROM facts
GROUP BY bucket
