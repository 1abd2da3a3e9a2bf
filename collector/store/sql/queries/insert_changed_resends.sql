INSERT INTO _ledger.changed_resend
SELECT ?::TIMESTAMP, org_id, trace_id, span_id, changed, cost_usd
FROM resent
