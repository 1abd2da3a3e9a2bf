-- By which row of which rate card most calls of a model were billed, per bucket.
SELECT
    bucket,
    key_0 AS model,
    arg_max(concat(key_1, ' ', key_2), calls) AS rate
FROM (
    SELECT bucket, key_0, key_1, key_2, sum(calls) AS calls
    FROM facts
    WHERE key_1 IS NOT NULL
    GROUP BY ALL
)
GROUP BY bucket, key_0
