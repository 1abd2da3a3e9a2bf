"""Names of providers, hosts and operations, as data: every spelling that is met and the one we keep.

Provider names are the well-known values of `gen_ai.provider.name`; names of providers that it does not list are
kept as their own lower-case word.
"""

from __future__ import annotations

from collections.abc import Mapping

OPENAI, ANTHROPIC, AZURE_OPENAI, AZURE_INFERENCE = "openai", "anthropic", "azure.ai.openai", "azure.ai.inference"
GEMINI, VERTEX, GENAI, BEDROCK = "gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai", "aws.bedrock"
XAI, MISTRAL, MOONSHOT, WATSONX = "x_ai", "mistral_ai", "moonshot_ai", "ibm.watsonx.ai"
COHERE, PERPLEXITY, DEEPSEEK, GROQ = "cohere", "perplexity", "deepseek", "groq"
OPENROUTER, TOGETHER, FIREWORKS, CEREBRAS = "openrouter", "together", "fireworks", "cerebras"
ALIBABA, ZAI, HUGGINGFACE, VOYAGE, DATABRICKS = "alibaba", "zai", "huggingface", "voyage", "databricks"
VLLM, OLLAMA, LM_STUDIO, VERCEL_GATEWAY = "vllm", "ollama", "lmstudio", "vercel_ai_gateway"

PROVIDERS: Mapping[str, str | None] = {
    **{
        name: name
        for name in (
            *(OPENAI, ANTHROPIC, AZURE_OPENAI, AZURE_INFERENCE, GEMINI, VERTEX, GENAI, BEDROCK, XAI, MISTRAL),
            *(MOONSHOT, WATSONX, COHERE, PERPLEXITY, DEEPSEEK, GROQ, OPENROUTER, TOGETHER, FIREWORKS, CEREBRAS),
        )
    },
    **dict.fromkeys(("vertex_ai", "vertexai", "vertex", "google-cloud", "google_vertexai", "google-vertex"), VERTEX),
    **dict.fromkeys(("google.vertex.chat", "google.vertex.embedding", "google.vertex", "google_vertex"), VERTEX),
    **dict.fromkeys(("gemini", "google", "google-gla", "google_generativeai", "google.generative-ai"), GEMINI),
    **dict.fromkeys(("google_genai", "google-genai"), GENAI),
    **dict.fromkeys(("az.ai.inference", "azure_ai", "azure-ai-inference"), AZURE_INFERENCE),
    **dict.fromkeys(("az.ai.openai", "azure", "azure_openai", "azure-openai", "azureopenai"), AZURE_OPENAI),
    **dict.fromkeys(("xai", "x-ai", "grok"), XAI),
    **dict.fromkeys(("mistral", "mistralai", "mistral-ai"), MISTRAL),
    **dict.fromkeys(("bedrock", "aws", "amazon_bedrock", "amazon-bedrock", "bedrock_converse"), BEDROCK),
    **dict.fromkeys(("moonshot", "moonshotai"), MOONSHOT),
    **dict.fromkeys(("watsonx", "watsonx_ai", "ibm", "ibm_watsonx"), WATSONX),
    **dict.fromkeys(("togetherai", "together_ai"), TOGETHER),
    **dict.fromkeys(("fireworks_ai", "fireworks-ai", "fireworksai"), FIREWORKS),
    **dict.fromkeys(("open-router", "open_router"), OPENROUTER),
    # Frameworks and agents are not providers: the model says who served it.
    **dict.fromkeys(("strands-agents", "langchain", "langgraph", "crewai", "litellm", "pydantic_ai", "pydantic-ai")),
    **dict.fromkeys(("openai_agents", "gcp.vertex.agent", "unknown", "llamaindex", "llama_index", "agno", "none", "")),
}
"""Any spelling in lower case -> the name we keep. None: a framework. Missing: a provider of its own name."""

HOST_PROVIDERS: Mapping[str, str] = {
    "api.openai.com": OPENAI,
    "api.anthropic.com": ANTHROPIC,
    "api.deepseek.com": DEEPSEEK,
    "api.groq.com": GROQ,
    "api.x.ai": XAI,
    "openrouter.ai": OPENROUTER,
    "api.mistral.ai": MISTRAL,
    "api.perplexity.ai": PERPLEXITY,
    "api.together.xyz": TOGETHER,
    "api.together.ai": TOGETHER,
    "api.fireworks.ai": FIREWORKS,
    "api.cerebras.ai": CEREBRAS,
    "api.cohere.com": COHERE,
    "api.cohere.ai": COHERE,
    "api.moonshot.ai": MOONSHOT,
    "api.moonshot.cn": MOONSHOT,
    "generativelanguage.googleapis.com": GEMINI,
    "aiplatform.googleapis.com": VERTEX,
    "dashscope.aliyuncs.com": ALIBABA,
    "dashscope-intl.aliyuncs.com": ALIBABA,
    "dashscope-us.aliyuncs.com": ALIBABA,
    "api.z.ai": ZAI,
    "router.huggingface.co": HUGGINGFACE,
    "api-inference.huggingface.co": HUGGINGFACE,
    "api.voyageai.com": VOYAGE,
    "ollama.com": OLLAMA,
    "codestral.mistral.ai": MISTRAL,
    "aiplatform.us.rep.googleapis.com": VERTEX,
    "aiplatform.eu.rep.googleapis.com": VERTEX,
    "api.writer.com": "writer",
    "api.inference.crusoecloud.com": "crusoe",
    "us.inference.heroku.com": "heroku",
    "eu.inference.heroku.com": "heroku",
    "api.deepinfra.com": "deepinfra",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.friendli.ai": "friendliai",
    "api.featherless.ai": "featherless_ai",
    "api.lambda.ai": "lambda_ai",
    "api.minimax.io": "minimax",
    "api.minimaxi.com": "minimax",
    "open.bigmodel.cn": "zhipuai",
    "integrate.api.nvidia.com": "nvidia_nim",
    "api.scaleway.ai": "scaleway",
    "inference.baseten.co": "baseten",
    "ai-gateway.vercel.sh": VERCEL_GATEWAY,
    "api.arcee.ai": "arcee",
    "api.avian.io": "avian",
    "api.doubleword.ai": "doubleword",
    "api.aimlapi.com": "aiml",
    "inference.api.nscale.com": "nscale",
    "api.gmi-serving.com": "gmi",
    "api.inceptionlabs.ai": "inception",
    "api.morphllm.com": "morph",
    "api.meta.ai": "meta",
    "api.llama.com": "meta",
    "api.publicai.co": "publicai",
    "api.sarvam.ai": "sarvam",
    "api.v0.dev": "v0",
    "api.inference.wandb.ai": "wandb",
    "inference.do-ai.run": "gradient_ai",
    "api.githubcopilot.com": "github-copilot",
    "models.github.ai": "github",
    "api.jina.ai": "jina_ai",
    "api.replicate.com": "replicate",
    "api.elevenlabs.io": "elevenlabs",
    "api.deepgram.com": "deepgram",
    "api.assemblyai.com": "assemblyai",
}
HOST_PREFIX_PROVIDERS: tuple[tuple[str, str], ...] = (("aws-external-anthropic.", ANTHROPIC),)
HOST_SUFFIX_PROVIDERS: tuple[tuple[str, str], ...] = (
    (".api.openai.com", OPENAI),
    (".openai.azure.com", AZURE_OPENAI),
    (".cognitiveservices.azure.com", AZURE_OPENAI),
    (".services.ai.azure.com", AZURE_INFERENCE),
    (".inference.ai.azure.com", AZURE_INFERENCE),
    (".api.x.ai", XAI),
    ("-aiplatform.googleapis.com", VERTEX),
    (".amazonaws.com", BEDROCK),
    (".amazonaws.com.cn", BEDROCK),
    (".api.aws", BEDROCK),
    (".elevenlabs.io", "elevenlabs"),
    (".assemblyai.com", "assemblyai"),
    (".ml.cloud.ibm.com", WATSONX),
    (".cloud.databricks.com", DATABRICKS),
    (".snowflakecomputing.com", "snowflake"),
    (".gcp.databricks.com", DATABRICKS),
    (".azuredatabricks.net", DATABRICKS),
    (".volces.com", "volcengine"),
    (".endpoints.huggingface.cloud", HUGGINGFACE),
)
HOST_PORT_PROVIDERS: Mapping[str, str] = {"11434": OLLAMA, "1234": LM_STUDIO, "8000": VLLM}
"""The usual port of a runtime on the user's own network -> that runtime. Sources: each one's quick start."""

HOST_DECIDES = frozenset({OPENAI, ANTHROPIC, None})
"""SDKs that speak one provider's wire to many hosts: there a known host says who bills."""

OPERATIONS: Mapping[str, str] = {
    "completion": "text_completion",
    "embedding": "embeddings",
    "embed": "embeddings",
    "chat_completion": "chat",
    "image": "image_generation",
    "image_generate": "image_generation",
    "audio": "speech",
    "text_to_speech": "speech",
    "speech_to_text": "transcription",
    "reranking": "rerank",
}

LEAF_OPERATIONS = (
    *(
        "chat",
        "generate_content",
        "text_completion",
        "embeddings",
        "image_generation",
        "image_edit",
        "video_generation",
    ),
    *("speech", "transcription", "translation", "rerank", "ocr", "moderation", "responses", "decision"),
)
AGGREGATE_OPERATIONS = (
    *("invoke_agent", "create_agent", "invoke_workflow", "execute_tool", "execute_task", "plan", "retrieval"),
    *("agent_step", "execute_event_loop_cycle", "handoff", "goto", "vectordb", "framework"),
    *("create_memory", "update_memory", "upsert_memory", "delete_memory", "search_memory"),
    *("create_memory_store", "delete_memory_store"),
)
IGNORED_OPERATIONS = ("fetch_response", "count_tokens")

UNSAID_TIERS = frozenset({"auto", "unset", "none"})

CLAUDE_PROVIDERS = frozenset({ANTHROPIC, BEDROCK, VERTEX})
"""Providers that bill cache writes by time to live."""

OUTPUT_EXCLUDES_REASONING = frozenset({XAI})
"""Providers whose chat API counts reasoning beside the output, not within it."""
