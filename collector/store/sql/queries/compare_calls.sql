-- Counted calls of a window that can be priced on another model: text calls that say their usage and have a price.
-- Filled in: the columns, the operations that are no text calls, and which calls.
SELECT {columns}
FROM _ledger.call_log
WHERE {which} AND counted AND start_time >= $since AND start_time < $until
    AND cost_usd IS NOT NULL
    AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR usage_json IS NOT NULL)
    AND coalesce(operation, '') NOT IN ({operations})
