"""What is told about budgets, to whom and how: an outbox in the ledger, delivered by webhook, e-mail and chat."""
