-- Sums per key of the chosen calls, and of all of them (the row where `is_total` is 1): the lines of one page.
-- `groups` counts the lines that pass the search, `all_groups` all of them.
WITH lines AS MATERIALIZED (
    SELECT
        {named},
        0 AS is_total,
        {measures}
    FROM facts
    GROUP BY {named}
),
found AS MATERIALIZED (
    SELECT lines.*, {earlier}, {revenue} AS revenue_usd
    FROM lines
    {compared}
    {paid}
    WHERE {search}
)
SELECT
    *,
    (SELECT count(*) FROM found) AS groups,
    (SELECT count(*) FROM lines) AS all_groups
FROM (
    SELECT
        {none},
        1 AS is_total,
        {measures},
        NULL AS earlier_calls,
        NULL AS earlier_cost_usd,
        NULL AS revenue_usd
    FROM lines
    UNION ALL
    (SELECT * FROM found ORDER BY {order} LIMIT $limit OFFSET $offset)
)
ORDER BY is_total DESC, {order}
