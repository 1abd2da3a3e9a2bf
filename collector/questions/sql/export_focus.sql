-- Some of the chosen calls as charges of FOCUS 1.2, one row each (docs/focus.md). A cost that is not known is NULL.
WITH charged AS (
    SELECT
        chosen.*,
        date_trunc('hour', CAST(chosen.start_time AS TIMESTAMP)) AS hour,
        date_trunc('month', CAST(chosen.start_time AS TIMESTAMP)) AS month,
        CASE WHEN chosen.input_tokens IS NOT NULL OR chosen.output_tokens IS NOT NULL
            THEN coalesce(chosen.input_tokens, 0) + coalesce(chosen.output_tokens, 0) END AS tokens
    FROM chosen
    WHERE chosen.seq >= $first_seq AND chosen.seq <= $last_seq
)
SELECT
    cost_usd AS "BilledCost",
    org_id AS "BillingAccountId",
    org_id AS "BillingAccountName",
    'USD' AS "BillingCurrency",
    (month + INTERVAL 1 MONTH) AT TIME ZONE 'UTC' AS "BillingPeriodEnd",
    month AT TIME ZONE 'UTC' AS "BillingPeriodStart",
    'Usage' AS "ChargeCategory",
    CAST(NULL AS VARCHAR) AS "ChargeClass",
    coalesce(operation, 'model call') || coalesce(' with ' || coalesce(model, response_model, request_model), '') AS "ChargeDescription",
    'Usage-Based' AS "ChargeFrequency",
    (hour + INTERVAL 1 HOUR) AT TIME ZONE 'UTC' AS "ChargePeriodEnd",
    hour AT TIME ZONE 'UTC' AS "ChargePeriodStart",
    CAST(coalesce(tokens, 1) AS DECIMAL(38, 0)) AS "ConsumedQuantity",
    CASE WHEN tokens IS NULL THEN 'Requests' ELSE 'Tokens' END AS "ConsumedUnit",
    cost_usd AS "ContractedCost",
    cost_usd AS "ContractedUnitPrice",
    cost_usd AS "EffectiveCost",
    provider AS "InvoiceIssuerName",
    cost_usd AS "ListCost",
    cost_usd AS "ListUnitPrice",
    'Standard' AS "PricingCategory",
    CAST(1 AS DECIMAL(38, 0)) AS "PricingQuantity",
    'Requests' AS "PricingUnit",
    provider AS "ProviderName",
    provider AS "PublisherName",
    'AI and Machine Learning' AS "ServiceCategory",
    provider AS "ServiceName",
    'Generative AI' AS "ServiceSubcategory",
    coalesce(model, response_model, request_model) AS "SkuId",
    operation AS "SkuMeter",
    rate_row AS "SkuPriceId",
    CAST(json_merge_patch('{{}}', to_json({{'x_ServiceTier': service_tier, 'x_RateCard': card}})) AS VARCHAR) AS "SkuPriceDetails",
    project AS "SubAccountId",
    CAST(json_merge_patch('{{}}', to_json({{
        'run': run, 'agent': agent, 'customer': customer, 'feature': feature, 'team': team, 'user': "user", 'project': project,
        'environment': environment, 'conversation': conversation, 'service': service_name
    }})) AS VARCHAR) AS "Tags",
    trace_id AS "x_TraceId",
    span_id AS "x_SpanId",
    input_tokens AS "x_InputTokens",
    output_tokens AS "x_OutputTokens",
    cache_read_tokens AS "x_CacheReadTokens",
    cache_write_tokens AS "x_CacheWriteTokens",
    reasoning_tokens AS "x_ReasoningTokens",
    cost_status AS "x_CostStatus",
    cost_reason AS "x_CostReason",
    attempt AS "x_Attempt",
    failed AS "x_Failed",
    wasted AS "x_Wasted"
FROM charged
ORDER BY seq
