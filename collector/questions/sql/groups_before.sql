LEFT JOIN (
    SELECT
        {named},
        CAST(sum(calls) AS BIGINT) AS earlier_calls,
        CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) AS earlier_cost_usd
    FROM before
    GROUP BY {named}
) AS earlier ON {same}
