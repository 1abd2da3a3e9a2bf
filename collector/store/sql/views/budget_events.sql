CREATE OR REPLACE VIEW budget_events AS
SELECT org_id, budget, scope_value, happened_at, event, spent_usd, limit_usd, detail
FROM _ledger.budget_event
