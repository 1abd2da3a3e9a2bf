-- What is read of caches, per card and row of it; rates as `rate` for `per` tokens, NULL where the card has none.
-- Rates are those without surcharges for long inputs.
WITH used AS (
    SELECT
        key_0 AS card,
        key_1 AS rate_row,
        sum(cacheable_tokens) AS input_tokens,
        sum(cached_tokens) AS cache_read_tokens,
        sum(uncached_tokens) AS uncached_tokens
    FROM facts
    GROUP BY key_0, key_1
)
SELECT
    CAST(used.input_tokens AS BIGINT) AS input_tokens,
    CAST(used.cache_read_tokens AS BIGINT) AS cache_read_tokens,
    CAST(used.uncached_tokens AS BIGINT) AS uncached_tokens,
    whole.rate_pico_usd AS whole_rate,
    whole.per AS whole_per,
    cached.rate_pico_usd AS cached_rate,
    cached.per AS cached_per
FROM used
LEFT JOIN prices AS whole
    ON whole.card = used.card AND whole.rate_row = used.rate_row AND whole.unit = 'input_tokens'
    AND whole.input_tokens_above IS NULL
LEFT JOIN prices AS cached
    ON cached.card = used.card AND cached.rate_row = used.rate_row AND cached.unit = 'cache_read_tokens'
    AND cached.input_tokens_above IS NULL AND cached."explicit"
