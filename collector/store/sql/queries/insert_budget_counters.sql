INSERT INTO _ledger.budget_counter BY NAME SELECT * FROM added_row
