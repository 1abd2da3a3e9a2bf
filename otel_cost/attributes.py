"""Every attribute key that is read or written, one constant each, by the project that defines it.

Names follow the key: `GEN_AI_USAGE_INPUT_TOKENS` is `gen_ai.usage.input_tokens`. Sources: the OpenTelemetry GenAI
conventions (with their deprecated names) and each instrumentation's own documentation or published package.
"""

from __future__ import annotations

# --- ours: written by the span processor, read by the collector -------------------------------------------------------

OTEL_COST_COST_USD = "otel_cost.cost_usd"  # exact decimal string
OTEL_COST_COST_STATUS = "otel_cost.cost_status"
OTEL_COST_CARD = "otel_cost.card"  # digest of the rate card
OTEL_COST_INCLUSIVE_USD = "otel_cost.inclusive_usd"  # exact decimal string: of the calls below a span
OTEL_COST_INCLUSIVE_STATUS = "otel_cost.inclusive_status"  # complete | partial: it is a lower bound
OTEL_COST_RECEIPT = "otel_cost.receipt"
OTEL_COST_RUN = "otel_cost.run"
OTEL_COST_AGENT = "otel_cost.agent"
OTEL_COST_CUSTOMER = "otel_cost.customer"
OTEL_COST_FEATURE = "otel_cost.feature"
OTEL_COST_TEAM = "otel_cost.team"
OTEL_COST_USER = "otel_cost.user"
OTEL_COST_PROJECT = "otel_cost.project"
OTEL_COST_ENVIRONMENT = "otel_cost.environment"
OTEL_COST_CONVERSATION = "otel_cost.conversation"
OTEL_COST_TAG_PREFIX = "otel_cost.tag."
OTEL_COST_ORGANIZATION = "otel_cost.organization"  # on resources: whose spans they are, where senders may say so
OTEL_COST_TOKEN_PREFIX = "otel_cost.token."  # + owner dimension, on resources: the tag of the ingest token
OTEL_COST_INGEST_TOKEN = (
    "otel_cost.ingest_token"  # on resources: name of the token that sent them; the collector's word
)
OTEL_COST_SERVICE = "otel_cost.service"  # the tier that served and what else decides the price: docs/pricing.md
OTEL_COST_USAGE_PREFIX = "otel_cost.usage."  # + unit key: quantities that no convention has a name for
OTEL_COST_WIRE = (
    "otel_cost.wire"  # version: another instrumentation's span, on which we wrote what its HTTP exchange said
)
OTEL_COST_OPERATION = "otel_cost.operation"  # these five: as `gen_ai.*` has it, on such a span
OTEL_COST_PROVIDER = "otel_cost.provider"
OTEL_COST_REQUEST_MODEL = "otel_cost.request_model"
OTEL_COST_RESPONSE_MODEL = "otel_cost.response_model"
OTEL_COST_RESPONSE_ID = "otel_cost.response_id"
OTEL_COST_REPORTED_COST_USD = "otel_cost.reported_cost_usd"  # exact decimal string: what the provider says it charged
OTEL_COST_ESTIMATED_INPUT = "otel_cost.estimated.input_tokens"  # by the texts, not reported
OTEL_COST_ESTIMATED_OUTPUT = "otel_cost.estimated.output_tokens"
OTEL_COST_STREAM = "otel_cost.stream"  # complete | abandoned | failed
OTEL_COST_PARTS = "otel_cost.parts"  # spans below a call that say what of it is billed, by whom
OTEL_COST_ATTEMPT = "otel_cost.attempt"  # name of an event: an attempt that failed, and was or may be repeated
OTEL_COST_ITEMS = "otel_cost.items"  # items of a batch, on the spans of its results
OTEL_COST_LEASE = "otel_cost.lease"  # under which the guard let the call go
OTEL_COST_MODEL_REPLACED = "otel_cost.model_replaced"  # that the app asked for, where a budget chose a cheaper one

GEN_AI_USAGE_COST_AMOUNT = "gen_ai.usage.cost.amount"  # draft: semantic-conventions-genai PR 443
GEN_AI_USAGE_COST_CURRENCY = "gen_ai.usage.cost.currency"
GEN_AI_USAGE_COST_SOURCE = "gen_ai.usage.cost.source"  # provider | local

# --- OpenTelemetry GenAI conventions ----------------------------------------------------------------------------------

GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"
GEN_AI_SYSTEM = "gen_ai.system"  # deprecated: provider.name
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_REQUEST_USER = "gen_ai.request.user"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_REQUEST_STREAM = "gen_ai.request.stream"
GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # seconds
GEN_AI_RESPONSE_SERVICE_TIER = "gen_ai.response.service_tier"
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_PROMPT_TOKENS = "gen_ai.usage.prompt_tokens"  # deprecated: input_tokens
GEN_AI_USAGE_COMPLETION_TOKENS = "gen_ai.usage.completion_tokens"  # deprecated: output_tokens
GEN_AI_USAGE_TOTAL_TOKENS = "gen_ai.usage.total_tokens"
GEN_AI_USAGE_CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_CACHE_READ_FLAT = "gen_ai.usage.cache_read_input_tokens"
GEN_AI_USAGE_CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
GEN_AI_USAGE_CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
GEN_AI_USAGE_CACHE_CREATION_FLAT = "gen_ai.usage.cache_creation_input_tokens"
GEN_AI_USAGE_CACHE_WRITE_FLAT = "gen_ai.usage.cache_write_input_tokens"
GEN_AI_USAGE_REASONING = "gen_ai.usage.reasoning.output_tokens"
GEN_AI_USAGE_REASONING_FLAT = "gen_ai.usage.reasoning_tokens"
GEN_AI_USAGE_AUDIO_INPUT = "gen_ai.usage.audio.input_tokens"
GEN_AI_USAGE_AUDIO_OUTPUT = "gen_ai.usage.audio.output_tokens"
GEN_AI_USAGE_AUDIO_CACHE_READ = "gen_ai.usage.audio.cache_read.input_tokens"
GEN_AI_USAGE_IMAGE_INPUT = "gen_ai.usage.image.input_tokens"
GEN_AI_USAGE_IMAGE_OUTPUT = "gen_ai.usage.image.output_tokens"
GEN_AI_USAGE_IMAGE_CACHE_READ = "gen_ai.usage.image.cache_read.input_tokens"
GEN_AI_USAGE_PARTIAL_INPUT = "gen_ai.usage.partial.input_tokens"
GEN_AI_USAGE_PARTIAL_OUTPUT = "gen_ai.usage.partial.output_tokens"
GEN_AI_AGENT_NAME = "gen_ai.agent.name"
GEN_AI_AGENT_ID = "gen_ai.agent.id"
GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id"
GEN_AI_SESSION_ID = "gen_ai.session.id"
GEN_AI_USER = "gen_ai.user"
GEN_AI_USER_ID = "gen_ai.user.id"
GEN_AI_ENVIRONMENT = "gen_ai.environment"
GEN_AI_OPENAI_API_BASE = "gen_ai.openai.api_base"
GEN_AI_OPENAI_REQUEST_SERVICE_TIER = "gen_ai.openai.request.service_tier"  # deprecated
GEN_AI_OPENAI_RESPONSE_SERVICE_TIER = "gen_ai.openai.response.service_tier"  # deprecated
OPENAI_REQUEST_SERVICE_TIER = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER = "openai.response.service_tier"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
SESSION_ID = "session.id"
USER_ID = "user.id"
ENDUSER_ID = "enduser.id"
DEPLOYMENT_ENVIRONMENT_NAME = "deployment.environment.name"
DEPLOYMENT_ENVIRONMENT = "deployment.environment"  # deprecated

# --- metrics of GenAI clients, and what tells their series apart ------------------------------------------------------

GEN_AI_CLIENT_INFERENCE_DURATION = "gen_ai.client.inference.duration"
GEN_AI_CLIENT_INFERENCE_TIME_TO_FIRST_CHUNK = "gen_ai.client.inference.time_to_first_chunk"
GEN_AI_CLIENT_INFERENCE_OPERATION_INPUT_TOKENS = "gen_ai.client.inference.operation.input_tokens"
GEN_AI_CLIENT_INFERENCE_OPERATION_OUTPUT_TOKENS = "gen_ai.client.inference.operation.output_tokens"
GEN_AI_CLIENT_INFERENCE_USAGE_INPUT_TOKENS = "gen_ai.client.inference.usage.input_tokens"
GEN_AI_CLIENT_INFERENCE_USAGE_OUTPUT_TOKENS = "gen_ai.client.inference.usage.output_tokens"
GEN_AI_CLIENT_INFERENCE_USAGE_CACHE_READ = "gen_ai.client.inference.usage.cache_read.input_tokens"
GEN_AI_CLIENT_INFERENCE_USAGE_CACHE_WRITE = "gen_ai.client.inference.usage.cache_write.input_tokens"
GEN_AI_CLIENT_INFERENCE_USAGE_REASONING = "gen_ai.client.inference.usage.reasoning.output_tokens"
GEN_AI_CLIENT_EMBEDDINGS_DURATION = "gen_ai.client.embeddings.duration"
GEN_AI_CLIENT_EMBEDDINGS_OPERATION_INPUT_TOKENS = "gen_ai.client.embeddings.operation.input_tokens"
GEN_AI_TOKEN_MODALITY = "gen_ai.token.modality"

# --- what was said, where an app has it captured: only ever counted, `otel_cost.normalise.content` -------------------

GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"
GEN_AI_SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
GEN_AI_PROMPT = "gen_ai.prompt"  # deprecated: input.messages
GEN_AI_COMPLETION = "gen_ai.completion"  # deprecated: output.messages
GEN_AI_PROMPT_PREFIX = "gen_ai.prompt."  # OpenLLMetry: + number of the message
GEN_AI_COMPLETION_PREFIX = "gen_ai.completion."
OPENLLMETRY_MESSAGE_TEXT = r"(\d{1,6})\.(?:content|tool_calls\.\d+\.(?:name|arguments))"
LLM_INPUT_MESSAGES_PREFIX = "llm.input_messages."  # OpenInference: + number of the message
LLM_OUTPUT_MESSAGES_PREFIX = "llm.output_messages."
OPENINFERENCE_MESSAGE_TEXT = (
    r"(\d{1,6})\.message\.(?:content|contents\.\d+\.message_content\.text"
    r"|tool_calls\.\d+\.tool_call\.function\.(?:name|arguments))"
)
AI_PROMPT_MESSAGES = "ai.prompt.messages"
AI_RESPONSE_TEXT = "ai.response.text"

# --- names that apps choose themselves for who pays -------------------------------------------------------------------

RUN_ID = "run.id"
RUN_ID_FLAT = "run_id"
RUN_NAME = "run.name"
PIPELINE_RUN_ID = "cicd.pipeline.run.id"
WORKFLOW_RUN_ID = "workflow.run.id"
AGENT_NAME = "agent.name"
AGENT_NAME_FLAT = "agent_name"
CUSTOMER = "customer"
CUSTOMER_ID = "customer.id"
CUSTOMER_ID_FLAT = "customer_id"
TENANT_ID = "tenant.id"
TENANT_ID_FLAT = "tenant_id"
ACCOUNT_ID = "account.id"
FEATURE = "feature"
FEATURE_NAME = "feature.name"
TEAM = "team"
TEAM_ID = "team.id"
TEAM_NAME = "team.name"
PROJECT = "project"
PROJECT_ID = "project.id"
PROJECT_NAME = "project.name"
USER_ID_FLAT = "user_id"
SESSION_ID_FLAT = "session_id"

# --- SDKs with spans of their own -------------------------------------------------------------------------------------

ANTHROPIC_REQUEST_SERVICE_TIER = "anthropic.request.service_tier"
ANTHROPIC_RESPONSE_SERVICE_TIER = "anthropic.response.service_tier"
ANTHROPIC_USAGE_CACHE_5M = "anthropic.usage.cache_creation.ephemeral_5m_input_tokens"
ANTHROPIC_USAGE_CACHE_1H = "anthropic.usage.cache_creation.ephemeral_1h_input_tokens"
ANTHROPIC_SESSION_ID = "anthropic.session.id"
ANTHROPIC_WORKSPACE_ID = "anthropic.workspace.id"
MISTRAL_OCR_PAGES = "mistral_ai.ocr.usage.pages_processed"
CLAUDE_CODE_SPAN_TYPE = "span.type"
CLAUDE_CODE_MODEL = "model"
CLAUDE_CODE_INPUT_TOKENS = "input_tokens"
CLAUDE_CODE_OUTPUT_TOKENS = "output_tokens"
CLAUDE_CODE_CACHE_READ = "cache_read_tokens"
CLAUDE_CODE_CACHE_CREATION = "cache_creation_tokens"

# --- Traceloop / OpenLLMetry ------------------------------------------------------------------------------------------

LLM_REQUEST_TYPE = "llm.request.type"
LLM_USAGE_TOTAL_TOKENS = "llm.usage.total_tokens"
LLM_USAGE_REASONING_TOKENS = "llm.usage.reasoning_tokens"
LLM_USAGE_PROMPT_TOKENS = "llm.usage.prompt_tokens"
LLM_USAGE_COMPLETION_TOKENS = "llm.usage.completion_tokens"
LLM_USER = "llm.user"
TRACELOOP_SPAN_KIND = "traceloop.span.kind"
TRACELOOP_ENTITY_NAME = "traceloop.entity.name"
TRACELOOP_CUSTOMER_ID = "traceloop.association.properties.customer_id"
TRACELOOP_TENANT_ID = "traceloop.association.properties.tenant_id"
TRACELOOP_USER_ID = "traceloop.association.properties.user_id"
TRACELOOP_SESSION_ID = "traceloop.association.properties.session_id"
TRACELOOP_RUN_ID = "traceloop.association.properties.run_id"
TRACELOOP_TEAM_ID = "traceloop.association.properties.team_id"
TRACELOOP_FEATURE = "traceloop.association.properties.feature"

# --- OpenInference ----------------------------------------------------------------------------------------------------

OPENINFERENCE_SPAN_KIND = "openinference.span.kind"
LLM_PROVIDER = "llm.provider"
LLM_SYSTEM = "llm.system"
LLM_MODEL_NAME = "llm.model_name"
LLM_REQUEST_MODEL_NAME = "llm.request.model_name"
LLM_RESPONSE_MODEL_NAME = "llm.response.model_name"
EMBEDDING_MODEL_NAME = "embedding.model_name"
RERANKER_MODEL_NAME = "reranker.model_name"
LLM_TOKEN_COUNT_PROMPT = "llm.token_count.prompt"
LLM_TOKEN_COUNT_COMPLETION = "llm.token_count.completion"
LLM_TOKEN_COUNT_TOTAL = "llm.token_count.total"
LLM_TOKEN_COUNT_CACHE_READ = "llm.token_count.prompt_details.cache_read"
LLM_TOKEN_COUNT_CACHE_INPUT = "llm.token_count.prompt_details.cache_input"
LLM_TOKEN_COUNT_CACHE_WRITE = "llm.token_count.prompt_details.cache_write"
LLM_TOKEN_COUNT_PROMPT_AUDIO = "llm.token_count.prompt_details.audio"
LLM_TOKEN_COUNT_REASONING = "llm.token_count.completion_details.reasoning"
LLM_TOKEN_COUNT_COMPLETION_AUDIO = "llm.token_count.completion_details.audio"
LLM_COST_TOTAL = "llm.cost.total"
DECISION_PROVIDER = "decision.provider"
DECISION_REQUEST_MODEL_NAME = "decision.request.model_name"
DECISION_TOKEN_COUNT_INPUT = "decision.token_count.input"
DECISION_TOKEN_COUNT_OUTPUT = "decision.token_count.output"

# --- OpenLIT, genai-otel-instrument -----------------------------------------------------------------------------------

TELEMETRY_SDK_NAME = "telemetry.sdk.name"
OPENLIT_TOKEN_USAGE = "gen_ai.client.token.usage"
OPENLIT_AUDIO_TOKENS = "gen_ai.usage.completion_tokens_details.audio_tokens"
GEN_AI_USAGE_COST = "gen_ai.usage.cost"
GENAI_OTEL_COST_TOTAL = "gen_ai.usage.cost.total"
GENAI_OTEL_RECORDED_BY = "gen_ai.usage.recorded_by"

# --- pydantic-ai, logfire ---------------------------------------------------------------------------------------------

OPERATION_COST = "operation.cost"
DETAILS_REASONING_TOKENS = "gen_ai.usage.details.reasoning_tokens"
DETAILS_CACHE_READ_TOKENS = "gen_ai.usage.details.cache_read_tokens"
DETAILS_CACHE_WRITE_TOKENS = "gen_ai.usage.details.cache_write_tokens"
DETAILS_CACHE_AUDIO_READ_TOKENS = "gen_ai.usage.details.cache_audio_read_tokens"
DETAILS_INPUT_AUDIO_TOKENS = "gen_ai.usage.details.input_audio_tokens"
DETAILS_OUTPUT_AUDIO_TOKENS = "gen_ai.usage.details.output_audio_tokens"
DETAILS_CACHE_5M_TOKENS = "gen_ai.usage.details.ephemeral_5m_input_tokens"
DETAILS_CACHE_1H_TOKENS = "gen_ai.usage.details.ephemeral_1h_input_tokens"
DETAILS_WEB_SEARCH_REQUESTS = "gen_ai.usage.details.web_search_requests"
LOGFIRE_SPAN_TYPE = "logfire.span_type"
LOGFIRE_MSG_TEMPLATE = "logfire.msg_template"
LOGFIRE_REQUEST_DATA = "request_data"
LOGFIRE_RESPONSE_DATA = "response_data"
LOGFIRE_LEVEL = "logfire.level_num"
LOGFIRE_USAGE_RAW = "gen_ai.usage.raw"
LOGFIRE_USAGE = "usage"
LOGFIRE_RESPONSE_ID = "response_id"
LOGFIRE_NAME = "name"

# --- langfuse, mlflow, langsmith --------------------------------------------------------------------------------------

LANGFUSE_OBSERVATION_TYPE = "langfuse.observation.type"
LANGFUSE_MODEL_NAME = "langfuse.observation.model.name"
LANGFUSE_USAGE_DETAILS = "langfuse.observation.usage_details"
LANGFUSE_COST_DETAILS = "langfuse.observation.cost_details"
LANGFUSE_ENVIRONMENT = "langfuse.environment"
LANGFUSE_USER_ID = "langfuse.user.id"
LANGFUSE_SESSION_ID = "langfuse.session.id"
LANGFUSE_METADATA_CUSTOMER_ID = "langfuse.trace.metadata.customer_id"
LANGFUSE_METADATA_TENANT_ID = "langfuse.trace.metadata.tenant_id"
MLFLOW_SPAN_TYPE = "mlflow.spanType"
MLFLOW_LLM_PROVIDER = "mlflow.llm.provider"
MLFLOW_LLM_MODEL = "mlflow.llm.model"
MLFLOW_TOKEN_USAGE = "mlflow.chat.tokenUsage"
MLFLOW_LLM_COST = "mlflow.llm.cost"
MLFLOW_TRACE_USER = "mlflow.trace.user"
MLFLOW_TRACE_SESSION = "mlflow.trace.session"
LANGSMITH_SPAN_KIND = "langsmith.span.kind"
LANGSMITH_INPUT_DETAILS = "gen_ai.usage.input_token_details"
LANGSMITH_OUTPUT_DETAILS = "gen_ai.usage.output_token_details"
LANGSMITH_TRACE_SESSION_ID = "langsmith.trace.session_id"
LANGSMITH_METADATA_SESSION_ID = "langsmith.metadata.session_id"
LANGSMITH_METADATA_THREAD_ID = "langsmith.metadata.thread_id"
LANGSMITH_METADATA_CONVERSATION_ID = "langsmith.metadata.conversation_id"
LANGSMITH_METADATA_USER_ID = "langsmith.metadata.user_id"
LANGSMITH_METADATA_CUSTOMER_ID = "langsmith.metadata.customer_id"
LANGSMITH_METADATA_TENANT_ID = "langsmith.metadata.tenant_id"

# --- LiteLLM ----------------------------------------------------------------------------------------------------------

LITELLM_V1_COST_TOTAL = "gen_ai.cost.total_cost"
LITELLM_COST_TOTAL = "litellm.cost.total"
LITELLM_CACHE_HIT = "litellm.cache_hit"
LITELLM_PROVIDER_MODEL = "litellm.provider.model"
LITELLM_END_USER_ID = "litellm.end_user.id"
LITELLM_TEAM_ID = "litellm.team.id"
LITELLM_TEAM_ALIAS = "litellm.team.alias"
LITELLM_V1_USER_ID = "metadata.user_api_key_user_id"
LITELLM_V1_TEAM_ID = "metadata.user_api_key_team_id"
LITELLM_V1_ORG_ID = "metadata.user_api_key_org_id"

# --- Google ADK -------------------------------------------------------------------------------------------------------

ADK_LLM_REQUEST = "gcp.vertex.agent.llm_request"
ADK_SESSION_ID = "gcp.vertex.agent.session_id"
ADK_INVOCATION_ID = "gcp.vertex.agent.invocation_id"

# --- Vercel AI SDK ----------------------------------------------------------------------------------------------------

AI_OPERATION_ID = "ai.operationId"
AI_MODEL_ID = "ai.model.id"
AI_MODEL_PROVIDER = "ai.model.provider"
AI_RESPONSE_MODEL = "ai.response.model"
AI_RESPONSE_ID = "ai.response.id"
AI_RESPONSE_PROVIDER_METADATA = "ai.response.providerMetadata"
AI_USAGE_INPUT_TOKENS = "ai.usage.inputTokens"
AI_USAGE_OUTPUT_TOKENS = "ai.usage.outputTokens"
AI_USAGE_PROMPT_TOKENS = "ai.usage.promptTokens"
AI_USAGE_COMPLETION_TOKENS = "ai.usage.completionTokens"
AI_USAGE_TOTAL_TOKENS = "ai.usage.totalTokens"
AI_USAGE_TOKENS = "ai.usage.tokens"
AI_USAGE_CACHED_INPUT_TOKENS = "ai.usage.cachedInputTokens"
AI_USAGE_NO_CACHE_TOKENS = "ai.usage.inputTokenDetails.noCacheTokens"
AI_USAGE_CACHE_READ_TOKENS = "ai.usage.inputTokenDetails.cacheReadTokens"
AI_USAGE_CACHE_WRITE_TOKENS = "ai.usage.inputTokenDetails.cacheWriteTokens"
AI_USAGE_REASONING_TOKENS = "ai.usage.reasoningTokens"
AI_USAGE_DETAILS_REASONING_TOKENS = "ai.usage.outputTokenDetails.reasoningTokens"
AI_TELEMETRY_FUNCTION_ID = "ai.telemetry.functionId"
AI_TELEMETRY_USER_ID = "ai.telemetry.metadata.userId"
AI_TELEMETRY_SESSION_ID = "ai.telemetry.metadata.sessionId"
AI_TELEMETRY_CUSTOMER_ID = "ai.telemetry.metadata.customerId"
AI_TELEMETRY_TENANT_ID = "ai.telemetry.metadata.tenantId"
