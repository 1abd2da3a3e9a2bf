-- The runs of one page, and how cost is spread over all that pass the search.
WITH lines AS MATERIALIZED (
    SELECT
        key_0 AS run,
        CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd,
        min(first_ns) AS first_ns,
        max(last_ns) AS last_ns
    FROM facts
    GROUP BY key_0
),
found AS (SELECT * FROM lines WHERE {search}),
spread AS (
    SELECT
        count(*) AS groups,
        quantile_disc(cost_usd, 0.5) AS p50_usd,
        quantile_disc(cost_usd, 0.95) AS p95_usd,
        max(cost_usd) AS max_usd
    FROM found
)
SELECT spread.*, page.run, page.first_ns, page.last_ns
FROM spread
LEFT JOIN (SELECT * FROM found ORDER BY {order} LIMIT $limit OFFSET $offset) AS page ON true
ORDER BY {order}
