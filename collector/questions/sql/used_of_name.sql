SELECT
    cells.bucket,
    cells.model,
    {place} AS place,
    cells.key_{place} AS value,
    CAST(sum(cells.calls) AS BIGINT) AS calls,
    CAST(sum(cells.tokens) AS BIGINT) AS tokens,
    CAST(sum(cells.cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM cells
JOIN (
    SELECT key_{place} FROM cells GROUP BY key_{place} ORDER BY sum(cost_usd) DESC, key_{place} NULLS LAST LIMIT $limit
) AS largest ON largest.key_{place} IS NOT DISTINCT FROM cells.key_{place}
GROUP BY cells.bucket, cells.model, cells.key_{place}
