INSERT INTO _ledger.budget_delivery BY NAME SELECT * FROM added_row
