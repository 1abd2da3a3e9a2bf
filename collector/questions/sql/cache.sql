-- What is read of caches, per card and row of it; rates as `rate` for `per` tokens, NULL where the card has none.
-- Rates are those without surcharges for long inputs.
WITH used AS (
    SELECT
        card,
        rate_row,
        sum(input_tokens) FILTER (WHERE cache_read_tokens IS NOT NULL) AS input_tokens,
        sum(cache_read_tokens) FILTER (WHERE input_tokens IS NOT NULL) AS cache_read_tokens,
        sum(input_tokens - coalesce(cache_read_tokens, 0)) FILTER (WHERE cost_usd IS NOT NULL) AS uncached_tokens
    FROM chosen
    GROUP BY card, rate_row
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
