"""An invented TensorRT-LLM in the shape of the real one: a click command, pydantic classes, registering decorators."""

from __future__ import annotations

TRTLLM = {
    "tensorrt_llm/version.py": b'__version__ = "9"\n',
    "tensorrt_llm/commands/serve.py": b"""
import click
from tensorrt_llm.llmapi.llm_args import TorchLlmArgs, update
from tensorrt_llm.llmapi.reasoning_parser import ReasoningParserFactory
from tensorrt_llm.logger import severity_map
from tensorrt_llm.serve.tool_parser import ToolParserFactory


def tagged(text, tag):
    return text


@click.command("other")
@click.option("--elsewhere", type=int)
def other(elsewhere):
    pass


@click.command("serve")
@click.argument("model", type=str)
@click.option("--host", type=str, default="localhost", help=tagged("Host.", "beta"))
@click.option("--tensor_parallel_size", "--tp_size", type=int, default=1)
@click.option("--share", type=float, default=0.9, help=tagged("Share.", "deprecated"))
@click.option("--fast/--slow", default=True)
@click.option("--trust_remote_code", is_flag=True, default=False)
@click.option("--dirs", type=click.Path(exists=True), multiple=True)
@click.option("--config", "--extra_llm_api_options", "extra_llm_api_options", type=str, default=None)
@click.option("--log_level", type=click.Choice(severity_map.keys()), default="info")
@click.option("--backend", type=ChoiceWithAlias(["pytorch", "tensorrt"], {"trt": "tensorrt"}))
@click.option("--computed", type=click.Choice(elsewhere()))
@click.option("--reasoning_parser", type=click.Choice(ReasoningParserFactory.parsers.keys()))
@click.option("--tool_parser", type=click.Choice(ToolParserFactory.parsers.keys()), required=True)
def serve(model, extra_llm_api_options):
    llm_args = update(read(extra_llm_api_options))
    cluster = llm_args.pop("disagg_cluster", None)
""",
    "tensorrt_llm/logger.py": b'severity_map = {"info": [A.B], "error": [A.C]}\n',
    "tensorrt_llm/serve/tool_parser/__init__.py": b"from .tool_parser_factory import ToolParserFactory\n",
    "tensorrt_llm/serve/tool_parser/tool_parser_factory.py": b"""
class ToolParserFactory:
    parsers: dict[str, type] = {"glm47": Glm47Parser, "qwen3": Qwen3Parser}
""",
    "tensorrt_llm/llmapi/reasoning_parser.py": b"""
def register_reasoning_parser(name):
    return lambda cls: cls


class ReasoningParserFactory:
    parsers = {"qwen3": A}


@register_reasoning_parser("glm45")
class B:
    pass
""",
    "tensorrt_llm/llmapi/llm_args.py": b"""
import os
from enum import Enum
from typing import ClassVar, List, Literal, Optional, Union
from pydantic import AliasChoices, BaseModel, Field


class Strict(BaseModel):
    class Config:
        extra = "forbid"


class Policy(str, Enum):
    NEVER = "NEVER_EVICT"
    ALWAYS = "ALWAYS"


class KvCacheConfig(Strict):
    dtype: str = Field(default="auto")
    fraction: Optional[float] = Field(default=0.9)
    policy: Policy = Policy.NEVER
    _private: int = 0


class Drafts(Strict):
    max_draft_len: Optional[int] = None
    model: Optional[Union[str, Path]] = Field(default=None, validation_alias=AliasChoices("model", "model_dir"))

    @classmethod
    def from_dict(cls, data):
        config_classes = {"MTP": MTP, "NGram": NGram}
        return config_classes.get(data.pop("decoding_type"))(**data)


class MTP(Drafts):
    decoding_type: ClassVar[str] = "MTP"
    layers: int = 1


class NGram(Drafts):
    decoding_type: ClassVar[str] = "NGram"
    size: int = 3


class Dense(Strict):
    algorithm: Literal["dense"] = "dense"
    window: int = 1


class Sparse(Strict):
    algorithm: Literal["dsa"] = "dsa"
    topk: int = 1


def lowered(data):
    classes = {"dense": Dense, "dsa": Sparse}
    return classes.get(data["algorithm"].lower())


DraftConfig = Optional[Union[MTP, NGram]]


class Base(Strict):
    model_config = {"extra": "forbid"}
    model: Union[str, Path] = Field(description="x")
    kv_cache_config: KvCacheConfig = Field(default_factory=KvCacheConfig)
    speculative_config: DraftConfig = None
    sparse_attention_config: Optional[Union[Dense, Sparse]] = None
    old: Optional[object] = Field(default=None, status="deprecated", deprecated="Use new.")
    sizes: Optional[List[int]] = None


class TorchLlmArgs(Base):
    backend: Literal["AUTO", "CUTLASS"] = Field(default="AUTO", status="beta")
    sizes: List[int] = None
    level: int = Field(default=int(os.environ.get("TLLM_LEVEL", "1")))


def update_llm_args_with_extra_dict(llm_args, llm_args_dict):
    field_mapping = {"kv_cache_config": KvCacheConfig, "quant_config": QuantConfig}
    return llm_args | llm_args_dict
""",
    "tensorrt_llm/_torch/models/modeling_deepseekv3.py": b"""
from .modeling_utils import register_auto_model


@register_auto_model("DeepseekV32ForCausalLM")
@register_auto_model("DeepseekV3ForCausalLM")
class DeepseekV3ForCausalLM:
    def __init__(self, config):
        self.topk = config.index_topk
""",
    "cpp/tensorrt_llm/common/envUtils.cpp": b'bool a() { return getBoolEnv("TRTLLM_FROM_CPP"); }\n',
    "toy.dist-info/METADATA": b"Requires-Dist: torch>=2.9\n",
}
