strftime(date_trunc('hour', timezone($tz, timezone('UTC', calls.start_time))), '%Y-%m-%dT%H:00')
|| printf(
    '%s%02d:%02d',
    CASE WHEN timezone($tz, timezone('UTC', calls.start_time)) < CAST(calls.start_time AS TIMESTAMP) THEN '-' ELSE '+' END,
    abs(date_diff('minute', CAST(calls.start_time AS TIMESTAMP), timezone($tz, timezone('UTC', calls.start_time)))) // 60,
    abs(date_diff('minute', CAST(calls.start_time AS TIMESTAMP), timezone($tz, timezone('UTC', calls.start_time)))) % 60
)
