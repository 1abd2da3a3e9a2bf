CREATE OR REPLACE VIEW _ledger.call_log AS
{parts}
