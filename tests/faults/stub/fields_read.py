"""What a request's own fields say, whatever else the stub has seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.faults.stub.answers import tokens
from tests.faults.stub.forms import form_of

Json = Any
HOT: Final = 2.0  # temperature
STRONG: Final = 1.5  # a penalty: no token is said twice
NARROW_SHARE: Final = 0.01  # of top_p


def join_parts(content: Json) -> Json:
    return "".join(part["text"] for part in content) if isinstance(content, list) else content


def _is_hot(request: Mapping[str, Json]) -> bool:
    """Whether the sampler may take nearly any token."""
    narrow = request.get("top_k") == 1 or float(request.get("top_p", 1.0)) < NARROW_SHARE
    return float(request.get("temperature", 0.0)) >= HOT and not narrow


def read_fields(request: Mapping[str, Json]) -> dict[str, Any]:
    """Return the circumstances that the request's own fields are, whatever else the stub has seen."""
    template = request.get("chat_template_kwargs") or {}
    return {
        "stream": bool(request.get("stream")),
        "choice": request.get("tool_choice", "auto"),
        "sampled": float(request.get("temperature", 0.0)) > 0,
        "thinking": _thinks(request),
        "effort": str(template.get("reasoning_effort", "")),
        "messages": len(request["messages"]),
        "systems": sum(len(tokens(str(m["content"]))) for m in request["messages"] if m["role"] == "system"),
        "form": form_of(request),
        "surface": str(request.get("surface", "")),
        "stop": (request.get("stop") or [""])[0],
        "stops": tuple(request.get("stop") or ()),
        "hot": _is_hot(request),
        "parted": any(isinstance(m.get("content"), list) for m in request["messages"]),
        "newer_limit": "max_completion_tokens" in request,
        "biased": bool(request.get("logit_bias")),
        "n": int(request.get("n", 1)),
        "least": int(request.get("min_tokens", 0)),
        "room": int(request.get("max_tokens", 16)),
        "logprobs": bool(request.get("logprobs")),
        "penalised": any(float(request.get(f"{name}_penalty", 0.0)) >= STRONG for name in ("frequency", "presence")),
        "present": float(request.get("presence_penalty", 0.0)) >= STRONG,
        "echoes": bool(request.get("echo")),
        "single": request.get("parallel_tool_calls") is False,
        "assistants": sum(m["role"] == "assistant" for m in request["messages"]),
        "greedy": request.get("top_k") == 1,
        "uncached": not request.get("cache_prompt", True),
        "prompt": "\n".join(str(join_parts(m.get("content"))) for m in request["messages"]),
    }


def _thinks(request: Mapping[str, Json]) -> bool:
    """Whether any switch of a template is on."""
    asked = request.get("chat_template_kwargs") or {}
    return bool(asked.get("enable_thinking") or asked.get("thinking"))
