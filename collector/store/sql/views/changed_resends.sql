CREATE OR REPLACE VIEW changed_resends AS
SELECT seen_at, org_id, trace_id, span_id, changed, cost_usd
FROM _ledger.changed_resend
