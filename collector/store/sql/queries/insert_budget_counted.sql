INSERT INTO _ledger.budget_counted BY NAME SELECT * FROM added_row
