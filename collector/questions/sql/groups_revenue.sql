LEFT JOIN (
    SELECT
        unnest(CAST($payers AS VARCHAR [])) AS payer,
        CAST(unnest(CAST($revenue AS VARCHAR [])) AS DECIMAL(38, 12)) AS usd
) AS paid ON paid.payer = lines.key_0
