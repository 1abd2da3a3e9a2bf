-- Spans from $1 to $2 with what their whole trace says of them.
SELECT
    span_log.*,
    call_log.revision,
    call_log.counted,
    call_log.not_counted_reason,
    call_log.duplicate_of,
    call_log.run AS owner_run,
    call_log.agent AS owner_agent,
    call_log.customer AS owner_customer,
    call_log.feature AS owner_feature,
    call_log.team AS owner_team,
    call_log."user" AS owner_user,
    call_log.project AS owner_project,
    call_log.environment AS owner_environment,
    call_log.conversation AS owner_conversation,
    call_log.attempt,
    call_log.retry_of,
    call_log.wasted
FROM _ledger.span_log AS span_log
LEFT JOIN _ledger.call_log AS call_log
    ON call_log.seq = span_log.seq AND call_log.seq BETWEEN $1 AND $2
WHERE span_log.seq BETWEEN $1 AND $2
ORDER BY span_log.seq
