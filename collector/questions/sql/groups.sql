-- Sums per key of the chosen calls, and of all of them (the row where `is_total` is 1): the lines of one page.
-- `groups` counts the lines that pass the search, `all_groups` all of them.
WITH lines AS MATERIALIZED (
    SELECT
        {named},
        CASE WHEN grouping({named}) <> 0 THEN 1 ELSE 0 END AS is_total,
        {measures}
    FROM facts
    GROUP BY GROUPING SETS (({named}), ())
),
found AS (
    SELECT lines.*, {earlier}
    FROM lines
    {compared}
    WHERE is_total = 0 AND {search}
)
SELECT
    *,
    (SELECT count(*) FROM found) AS groups,
    (SELECT count(*) FROM lines) - 1 AS all_groups
FROM (
    SELECT *, NULL AS earlier_calls, NULL AS earlier_cost_usd FROM lines WHERE is_total = 1
    UNION ALL
    (SELECT * FROM found ORDER BY {order} LIMIT $limit OFFSET $offset)
)
ORDER BY is_total DESC, {order}
