INSERT INTO _ledger.price_row
SELECT
    card,
    ?::TIMESTAMP,
    rate_row,
    provider,
    model,
    variant,
    region,
    unit,
    nullif(input_tokens_above, -1),
    rate_pico_usd,
    per,
    "explicit",
    CASE WHEN valid_from_ns > -9223372036854775000 THEN make_timestamp(valid_from_ns // 1000) END,
    CASE WHEN valid_to_ns < 9223372036854775000 THEN make_timestamp(valid_to_ns // 1000) END,
    source
FROM card_price
WHERE card NOT IN (SELECT card FROM _ledger.price_row)
