SELECT date_trunc('hour', start_time)::TIMESTAMP AS hour, count(*) AS calls
FROM _ledger.call_log
WHERE counted AND start_time >= $since AND start_time < $until
GROUP BY hour
ORDER BY hour
