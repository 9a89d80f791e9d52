"""Which modules of a release are its own code while its parsers run; all others are stand-ins (see standins.py)."""

from __future__ import annotations

from typing import Final

REAL: Final = {
    "vllm": (
        r"vllm\.(parser|tool_parsers|reasoning)(\..*)?",
        r"vllm\.entrypoints(\.(openai|generate|serve|chat_utils))?",
        r"vllm\.entrypoints\.(openai|generate|serve)\.(\w+|.*protocol)",
        r"vllm\.entrypoints\.openai\.tool_parsers\..*",
        r"vllm\.renderers\.chat_utils(\..*)?",
        r"vllm\.(envs|exceptions|logprobs|sampling_params|utils(\..*)?|v1\.serial_utils)",
    ),
    "sglang": (
        r"sglang\.srt",
        r"sglang\.srt\.(function_call|parser)(\..*)?",
        r"sglang\.srt\.entrypoints(\.openai(\.protocol)?)?",
        r"sglang\.srt\.(environ|reasoning_parser)",
    ),
    "trtllm": (
        r"tensorrt_llm\.serve\.(tool_parser(\..*)?|openai_protocol|postprocess_handlers)",
        r"tensorrt_llm\.llmapi\.reasoning_parser",
    ),
}
PACKAGES: Final = {"trtllm": "tensorrt_llm"}  # engines whose package has another name than the engine
# Libraries that the modules above import for other work than parsing.
LIBRARIES: Final = (
    "PIL",
    "aiohttp",
    "anthropic",
    "blake3",
    "cbor2",
    "cloudpickle",
    "einops",
    "huggingface_hub",
    "ijson",
    "jinja2",
    "jsonschema",
    "lark",
    "llguidance",
    "mcp",
    "mistral_common",
    "numpy",
    "openai_harmony",
    "oss_harmony",
    "outlines_core",
    "prometheus_client",
    "psutil",
    "pybase64",
    "requests",
    "tiktoken",
    "torch",
    "tqdm",
    "transformers",
    "triton",
    "xgrammar",
    "yaml",
    "zmq",
)
