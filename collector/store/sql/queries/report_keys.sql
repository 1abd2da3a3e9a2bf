-- Attribute keys that calls carry, most frequent first: what `--by` could name.
SELECT key, count(*) AS calls
FROM (
    SELECT unnest(json_keys(spans.attributes)) AS key
    FROM calls
    JOIN spans ON spans.org_id = calls.org_id AND spans.trace_id = calls.trace_id AND spans.span_id = calls.span_id
    UNION ALL
    SELECT unnest(json_keys(spans.resource)) AS key
    FROM calls
    JOIN spans ON spans.org_id = calls.org_id AND spans.trace_id = calls.trace_id AND spans.span_id = calls.span_id
) AS keys
GROUP BY key
ORDER BY calls DESC, key
