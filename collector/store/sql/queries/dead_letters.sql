-- Messages about budgets that were given up and not tried again since, by channel.
SELECT channel, count(*) AS messages FROM _ledger.budget_delivery WHERE state = 'dead' GROUP BY channel ORDER BY channel
