SELECT batch_key.row, span_log.seq
FROM batch_key
JOIN _ledger.span_log AS span_log
  ON span_log.span_id = batch_key.span_id
 AND span_log.trace_id = batch_key.trace_id
 AND span_log.org_id = batch_key.org_id
WHERE span_log.start_time BETWEEN make_timestamp_ns(?) AND make_timestamp_ns(?)
