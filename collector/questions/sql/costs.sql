-- Cost per bucket and key of the chosen calls.
SELECT bucket, {named}, CAST(coalesce(sum(cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd
FROM facts
GROUP BY bucket, {named}
