-- Attribute keys of the latest chosen calls and of their resources, most frequent first.
WITH latest AS MATERIALIZED (
    SELECT chosen.seq
    FROM chosen
    ORDER BY chosen.start_time DESC
    LIMIT $calls
),
keyed AS MATERIALIZED (
    SELECT org_spans.attributes, org_spans.resource
    FROM org_spans
    WHERE org_spans.seq IN (SELECT seq FROM latest)
        AND org_spans.seq >= (SELECT min(seq) FROM latest) AND org_spans.seq <= (SELECT max(seq) FROM latest)
)
SELECT key, count(*) AS calls
FROM (
    SELECT unnest(json_keys(attributes)) AS key FROM keyed
    UNION ALL
    SELECT unnest(json_keys(resource)) AS key FROM keyed
)
GROUP BY key
ORDER BY calls DESC, key
LIMIT $keys
