SELECT
    bucket,
    model,
    -1 AS place,
    CAST(NULL AS VARCHAR) AS value,
    CAST(sum(calls) AS BIGINT) AS calls,
    CAST(sum(tokens) AS BIGINT) AS tokens,
    CAST(sum(cost_usd) AS DECIMAL(38, 12)) AS cost_usd
FROM cells
GROUP BY bucket, model
