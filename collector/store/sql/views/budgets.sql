CREATE OR REPLACE VIEW budgets AS
SELECT org_id, budget, scope, scope_value, period, period_start, limit_usd, spent_usd, state
FROM _ledger.budget
