-- How cost is spread over runs. Percentiles are costs of runs that there are.
SELECT
    count(*) AS runs,
    CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd,
    quantile_disc(cost_usd, 0.5) AS p50_usd,
    quantile_disc(cost_usd, 0.95) AS p95_usd,
    max(cost_usd) AS max_usd
FROM (
    SELECT CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd
    FROM facts
    GROUP BY key_0
)
