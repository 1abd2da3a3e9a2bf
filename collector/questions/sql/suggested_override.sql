-- What of a config would give such calls a price: text with a ? for what only the user knows. NULL: nothing would.
CASE
    WHEN cost_status <> 'unpriced' OR provider IS NULL OR coalesce(response_model, request_model, '') = '' THEN NULL
    WHEN provider LIKE '%azure%' THEN
        'aliases: [{provider: ' || to_json(provider) || ', alias: ' || to_json(coalesce(response_model, request_model))
        || ', model: ?}]'
    ELSE
        'prices: [{provider: ' || to_json(provider) || ', model: ' || to_json(coalesce(response_model, request_model))
        || ', rates: {input_tokens: ?, output_tokens: ?}}]'
END
