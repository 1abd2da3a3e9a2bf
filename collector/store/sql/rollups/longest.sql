-- The longest outputs of each day in the order of sql/longest.sql of questions: what is as long as the last of them, cut off.
INSERT INTO long
WITH lengths AS NOT MATERIALIZED (
{lengths}
),
least AS MATERIALIZED (
    SELECT day, org_id, list_min(max(output_tokens, {longest})) AS output_tokens
    FROM lengths
    GROUP BY day, org_id
)
SELECT {part}, lengths.*
FROM lengths
JOIN least ON least.day = lengths.day AND least.org_id = lengths.org_id AND lengths.output_tokens >= least.output_tokens
QUALIFY row_number() OVER (
    PARTITION BY lengths.day, lengths.org_id
    ORDER BY lengths.output_tokens DESC, lengths.cost_usd DESC NULLS LAST, lengths.trace_id, lengths.span_id
) <= {longest}
