"""Provider names: every OpenTelemetry value, SDK and gateway spelling, to the canonical provider of the rate card.

Sources: the well-known values of `gen_ai.provider.name` and the retired `gen_ai.system`, LiteLLM's and Logfire's names.
"""

from __future__ import annotations

import re

_SPELLINGS: dict[str, str] = {
    "openai": "openai openai-responses azure_openai_compatible text-completion-openai openai-chat",
    "azure": "azure azure.ai.openai az.ai.openai azure_openai azure-openai azureopenai azure.openai azure.ai.inference"
    " az.ai.inference azure_ai_inference azure_ai azure_ai_foundry azure.ai.foundry microsoft.foundry azure_text"
    " azure_cognitive_services azureml",
    "anthropic": "anthropic claude anthropic.messages",
    "google": "google gcp.gen_ai gcp.vertex_ai gcp.gemini vertex_ai vertexai vertex gemini google-cloud google_genai"
    " google.genai google-genai google_generativeai google_generative_ai google-gla google-vertex google.vertex"
    " vertex_ai_beta google_vertexai google.generative-ai google_ai_studio google_ai google_vertex gcp google_palm"
    " google-vertex-search",
    "aws": "aws aws.bedrock aws_bedrock bedrock amazon_bedrock amazon-bedrock amazon.bedrock amazon bedrock_converse"
    " bedrock-runtime bedrock_mantle bedrock_chat amazon_nova sagemaker",
    "cohere": "cohere cohere_chat cohere.ai cohere_ai",
    "mistral": "mistral mistral_ai codestral text-completion-codestral la_plateforme",
    "x-ai": "x-ai x_ai xai x.ai grok",
    "deepseek": "deepseek deepseek_ai deepseek-ai",
    "groq": "groq",
    "perplexity": "perplexity perplexity_ai pplx",
    "moonshotai": "moonshotai moonshot_ai moonshot moonshot-ai",
    "openrouter": "openrouter open_router openrouter.ai",
    "fireworks": "fireworks fireworks_ai fireworks_ai-embedding-models",
    "together": "together together_ai together-ai togetherai",
    "voyageai": "voyageai voyage voyage_ai voyage-ai",
    "cerebras": "cerebras cerebras_ai",
    "minimax": "minimax minimax_ai",
    "zhipuai": "zhipuai zhipu bigmodel zhipu_ai",
    "zai": "zai z_ai z.ai z-ai zai_org",
    "elevenlabs": "elevenlabs eleven_labs",
    "cloudflare": "cloudflare workers_ai cloudflare_workers_ai workers-ai",
    "databricks": "databricks",
    "github-copilot": "github-copilot github_copilot copilot",
    "novita": "novita novita_ai novita-ai",
    "ovhcloud": "ovhcloud ovh",
    "baseten": "baseten",
    "cursor": "cursor",
    "meta": "meta meta_llama",
    "watsonx": "ibm.watsonx.ai watsonx watsonx.ai ibm ibm_watsonx az.ai.watsonx",
    "ai21": "ai21 ai21labs",
    "deepinfra": "deepinfra deep_infra",
    "sambanova": "sambanova samba_nova",
    "nebius": "nebius nebius_ai",
    "deepgram": "deepgram",
    "assemblyai": "assemblyai assembly_ai",
    "dashscope": "dashscope alibaba alibaba_cloud aliyun qwen",
    "replicate": "replicate",
    "snowflake": "snowflake snowflake_cortex",
    "stability": "stability stability_ai stabilityai",
    "oci": "oci oracle oci_genai",
    "jina_ai": "jina_ai jina jinaai",
}

PROVIDER_ALIASES: dict[str, str] = {
    spelling: provider_id for provider_id, line in _SPELLINGS.items() for spelling in line.split()
}
"""Lower-case spelling -> canonical provider."""

_SQUASHED = {re.sub(r"[^a-z0-9]", "", spelling): provider_id for spelling, provider_id in PROVIDER_ALIASES.items()}
_OPERATION = re.compile(
    r"[.\-_:/](?:chat|responses|messages|completions?|embeddings?|textembedding|image|speech|transcription|text"
    r"|language[-_]model|language[-_]models|converse|generate[-_]content)$"
)
"""What SDKs put behind a provider's name to say which of its interfaces was called: `openai.responses`."""
_LITELLM_VERTEX = re.compile(r"^vertex_ai-[a-z0-9_\-]+$")


def canonical_provider(said: str) -> str | None:
    """The canonical provider of a lower-case name that a span has; None for one that is not known."""
    for name in (said, _OPERATION.sub("", said)):
        found = PROVIDER_ALIASES.get(name) or _SQUASHED.get(re.sub(r"[^a-z0-9]", "", name))
        if found is not None:
            return found
    return "google" if _LITELLM_VERTEX.match(said) else None


_FRAMEWORKS = (
    "strands-agents langchain langgraph crewai litellm litellm_proxy pydantic_ai pydantic-ai openai_agents"
    " openai-agents unknown llama_index llamaindex haystack dspy autogen semantic_kernel agno smolagents instructor"
    " gcp.vertex.agent vercel vercel_ai_sdk ai-sdk custom_openai openai_compatible openai-compatible none"
)
FRAMEWORKS = frozenset(_FRAMEWORKS.split())
"""Names that say which library spoke, not who bills: the provider follows from the model."""

_RUNTIMES = "ollama ollama_chat vllm hosted_vllm lm_studio lmstudio llamafile llama.cpp llamacpp tgi xinference"
UNPRICED_PROVIDERS = frozenset(_RUNTIMES.split())
"""Runtimes on the user's own machines: no price list exists."""

OWN_PREFIXES: dict[str, frozenset[str]] = {
    provider_id: frozenset(line.split()) for provider_id, line in _SPELLINGS.items()
} | {
    "aws": frozenset([*_SPELLINGS["aws"].split(), "converse", "invoke", "converse_like", "bedrock_converse"]),
    "azure": frozenset([*_SPELLINGS["azure"].split(), "eu-data-zone"]),
}
"""Provider -> prefixes (`openai/gpt-4o`) that repeat the provider and say nothing else."""

MODEL_SHAPES: tuple[tuple[str, str], ...] = (
    (r"(?:arn:aws|(?:us-gov\.|us\.|eu\.|apac\.|au\.|jp\.|in\.|global\.)?(?:anthropic|amazon|meta|ai21)\.)", "aws"),
    (r"(?:us-gov|us|eu|apac|au|jp|in|global)\.[a-z0-9]+\.", "aws"),
    (r"(?:cohere|mistral|deepseek|qwen|openai|writer|stability)\.[a-z]", "aws"),
    (r"claude-", "anthropic"),
    (r"(?:ft:)?(?:gpt-|chatgpt-|davinci-|babbage-)", "openai"),
    (r"o[1-5](?:$|-)", "openai"),
    (
        r"(?:text-embedding-(?:3|ada)|whisper-1$|tts-1|dall-e-|omni-moderation|text-moderation|computer-use)",
        "openai",
    ),
    (r"(?:sora-|codex-mini)", "openai"),
    (r"(?:models/)?(?:gemini-|gemma-|imagen-|veo-|learnlm-)", "google"),
    (r"(?:text-embedding-0|text-multilingual-embedding|projects/|publishers/google/)", "google"),
    (r"publishers/anthropic/", "google"),
    (
        r"(?:labs-)?(?:mistral|ministral|codestral|devstral|magistral|mixtral|pixtral|voxtral|open-mi[sx]tral)",
        "mistral",
    ),
    (r"(?:command-|c4ai-|rerank-(?:v|english|multi)|embed-(?:v|english|multi))", "cohere"),
    (r"deepseek-", "deepseek"),
    (r"grok-", "x-ai"),
    (r"(?:kimi-|moonshot-)", "moonshotai"),
    (r"glm-", "zhipuai"),
    (r"minimax-", "minimax"),
    (r"voyage-", "voyageai"),
    (r"(?:sonar|pplx-)", "perplexity"),
    (r"eleven_", "elevenlabs"),
    (r"@cf/", "cloudflare"),
    (r"accounts/fireworks/", "fireworks"),
    (r"composer-", "cursor"),
    (r"(?:databricks-|system\.ai\.)", "databricks"),
    (r"muse-", "meta"),
    (r"jev-", "typesafe"),
)
"""Patterns, from the start, of bare model names -> the lab whose own price list they belong to; the first counts."""
