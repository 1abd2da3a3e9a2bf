SELECT 1 FROM _ledger.price_row WHERE card = ? LIMIT 1
