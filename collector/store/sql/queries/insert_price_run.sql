INSERT INTO _ledger.price_run VALUES (
    $name, $batch, $at, $by, $card, $cards_before,
    make_timestamp_ns($since_ns), make_timestamp_ns($until_ns), $models, $providers, $organizations,
    $calls, $changed_calls, $cost_before_usd, $cost_after_usd, $unpriced_before, $unpriced_after, $archived_spans,
    $file, $file_bytes, $file_rows, NULL, NULL
)
