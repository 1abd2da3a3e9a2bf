-- One measure per bucket, of the $limit largest values of the key, and of all others together (`shown` is false).
WITH cells AS MATERIALIZED (
    SELECT
        bucket,
        key_0,
        CAST(coalesce(sum({value}), 0) AS DECIMAL(38, 12)) AS value,
        CAST(coalesce(sum(calls), 0) AS BIGINT) AS calls,
        CAST(coalesce(sum(unpriced_calls), 0) AS BIGINT) AS unpriced_calls
    FROM facts
    GROUP BY bucket, key_0
),
largest AS MATERIALIZED (
    SELECT key_0, sum(value) AS value, true AS shown
    FROM cells
    GROUP BY key_0
    ORDER BY value DESC, key_0 NULLS LAST
    LIMIT $limit
)
SELECT
    cells.bucket,
    coalesce(largest.shown, false) AS shown,
    CASE WHEN largest.shown THEN cells.key_0 END AS key_0,
    CAST(sum(cells.value) AS DECIMAL(38, 12)) AS value,
    CAST(sum(cells.calls) AS BIGINT) AS calls,
    CAST(sum(cells.unpriced_calls) AS BIGINT) AS unpriced_calls
FROM cells
LEFT JOIN largest ON largest.key_0 IS NOT DISTINCT FROM cells.key_0
GROUP BY 1, 2, 3
