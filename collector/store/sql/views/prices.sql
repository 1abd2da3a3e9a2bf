CREATE OR REPLACE VIEW prices AS
SELECT card, first_seen_at, rate_row, provider, model, variant, region, unit, input_tokens_above, rate_pico_usd, per, "explicit",
    valid_from, valid_to, source
FROM _ledger.price_row
