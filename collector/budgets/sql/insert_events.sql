INSERT INTO _ledger.budget_event BY NAME SELECT * FROM added_row
