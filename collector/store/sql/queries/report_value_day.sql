strftime(date_trunc('day', timezone($tz, timezone('UTC', calls.start_time))), '%Y-%m-%d')
