-- What the calls of flat plans used in a window: per plan, calendar month (UTC) and value of one dimension.
-- A plan's name stands first in what the rate row says of overrides; an alias or a fee follows it after ' + ', a region after '|'.
-- Filled in: the value, a column of `calls`.
SELECT
    split_part(split_part(split_part(rate_row, '|override: ', 2), '|', 1), ' + ', 1) AS plan,
    strftime(start_time, '%Y-%m') AS month,
    {value} AS value,
    count(*) AS calls,
    CAST(coalesce(sum(input_tokens), 0) + coalesce(sum(output_tokens), 0) AS BIGINT) AS tokens
FROM calls
WHERE start_time >= CAST($since AS TIMESTAMP_NS)
    AND start_time < CAST($until AS TIMESTAMP_NS)
    AND split_part(split_part(split_part(rate_row, '|override: ', 2), '|', 1), ' + ', 1) IN (SELECT unnest($plans))
GROUP BY ALL
ORDER BY plan, month, tokens DESC, calls DESC, value NULLS LAST
