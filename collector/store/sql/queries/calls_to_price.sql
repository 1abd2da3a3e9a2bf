SELECT {columns}
FROM _ledger.call_log
WHERE counted AND start_time >= $since AND start_time < $until
