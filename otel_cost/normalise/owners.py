"""Who pays, as spans and resources say it: for each owner dimension the attribute keys that name it, first one wins.

Our own key stands first everywhere: it is what the app said on purpose. `service.name` is no owner dimension.
"""

from __future__ import annotations

from collections.abc import Mapping

from otel_cost import attributes as k

OWNER_KEYS: Mapping[str, tuple[str, ...]] = {
    "run": (
        k.OTEL_COST_RUN,
        k.RUN_ID,
        k.RUN_ID_FLAT,
        k.RUN_NAME,
        k.WORKFLOW_RUN_ID,
        k.TRACELOOP_RUN_ID,
        k.ADK_INVOCATION_ID,
        k.PIPELINE_RUN_ID,
    ),
    "agent": (
        k.OTEL_COST_AGENT,
        k.GEN_AI_AGENT_NAME,
        k.AGENT_NAME,
        k.AGENT_NAME_FLAT,
        k.AI_TELEMETRY_FUNCTION_ID,
        k.GEN_AI_AGENT_ID,
    ),
    "customer": (
        k.OTEL_COST_CUSTOMER,
        k.CUSTOMER_ID,
        k.CUSTOMER_ID_FLAT,
        k.CUSTOMER,
        k.TENANT_ID,
        k.TENANT_ID_FLAT,
        k.TRACELOOP_CUSTOMER_ID,
        k.TRACELOOP_TENANT_ID,
        k.LANGFUSE_METADATA_CUSTOMER_ID,
        k.LANGFUSE_METADATA_TENANT_ID,
        k.LANGSMITH_METADATA_CUSTOMER_ID,
        k.LANGSMITH_METADATA_TENANT_ID,
        k.AI_TELEMETRY_CUSTOMER_ID,
        k.AI_TELEMETRY_TENANT_ID,
        k.ACCOUNT_ID,
    ),
    "feature": (k.OTEL_COST_FEATURE, k.FEATURE, k.FEATURE_NAME, k.TRACELOOP_FEATURE),
    "team": (
        k.OTEL_COST_TEAM,
        k.TEAM,
        k.TEAM_NAME,
        k.TEAM_ID,
        k.TRACELOOP_TEAM_ID,
        k.LITELLM_TEAM_ALIAS,
        k.LITELLM_TEAM_ID,
        k.LITELLM_V1_TEAM_ID,
    ),
    "user": (
        k.OTEL_COST_USER,
        k.USER_ID,
        k.ENDUSER_ID,
        k.GEN_AI_USER_ID,
        k.TRACELOOP_USER_ID,
        k.GEN_AI_USER,
        k.LLM_USER,
        k.GEN_AI_REQUEST_USER,
        k.LANGSMITH_METADATA_USER_ID,
        k.LANGFUSE_USER_ID,
        k.MLFLOW_TRACE_USER,
        k.LITELLM_END_USER_ID,
        k.LITELLM_V1_USER_ID,
        k.AI_TELEMETRY_USER_ID,
        k.USER_ID_FLAT,
    ),
    "project": (
        k.OTEL_COST_PROJECT,
        k.PROJECT,
        k.PROJECT_NAME,
        k.PROJECT_ID,
        k.LITELLM_V1_ORG_ID,
        k.ANTHROPIC_WORKSPACE_ID,
    ),
    "environment": (
        k.OTEL_COST_ENVIRONMENT,
        k.DEPLOYMENT_ENVIRONMENT_NAME,
        k.DEPLOYMENT_ENVIRONMENT,
        k.LANGFUSE_ENVIRONMENT,
        k.GEN_AI_ENVIRONMENT,
    ),
    "conversation": (
        k.OTEL_COST_CONVERSATION,
        k.GEN_AI_CONVERSATION_ID,
        k.SESSION_ID,
        k.GEN_AI_SESSION_ID,
        k.TRACELOOP_SESSION_ID,
        k.LANGSMITH_TRACE_SESSION_ID,
        k.LANGSMITH_METADATA_THREAD_ID,
        k.LANGSMITH_METADATA_SESSION_ID,
        k.LANGSMITH_METADATA_CONVERSATION_ID,
        k.ADK_SESSION_ID,
        k.AI_TELEMETRY_SESSION_ID,
        k.LANGFUSE_SESSION_ID,
        k.MLFLOW_TRACE_SESSION,
        k.ANTHROPIC_SESSION_ID,
        k.SESSION_ID_FLAT,
    ),
}

RESOURCE_KEYS: Mapping[str, tuple[str, ...]] = {
    dimension: (*keys, k.OTEL_COST_TOKEN_PREFIX + dimension)
    for dimension, keys in {
        **OWNER_KEYS,
        "agent": (k.OTEL_COST_AGENT, k.GEN_AI_AGENT_NAME, k.GEN_AI_AGENT_ID),
    }.items()
}
"""The same for resources, where `agent.name` is the monitoring agent of some vendors. The last is the tag of the ingest
token, which the collector writes."""

ALL_OWNER_KEYS = frozenset(key for keys in (*OWNER_KEYS.values(), *RESOURCE_KEYS.values()) for key in keys)
