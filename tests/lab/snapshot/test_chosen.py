"""The backends that two invented engines choose by themselves, and what nobody can tell."""

from __future__ import annotations

import pytest

from lab.snapshot.chosen import sglang_backends, vllm_backends
from lab.snapshot.locate import NotFound
from lab.snapshot.source import WheelSource
from matrix.preflight.snapshot import Flag

GLM = {"GlmMoeDsaForCausalLM": "m"}
FLAGS = (
    Flag(options=("--dsa-prefill-backend",), dest="dsa_prefill_backend", default="None"),
    Flag(options=("--nsa-prefill-backend",), dest="dsa_prefill_backend", default="argparse.SUPPRESS"),
    Flag(options=("--dsa-decode-backend",), dest="dsa_decode_backend", default="None"),
    Flag(options=("--hi",), dest="hi", action="store_true"),
)
OVERRIDES = b"""
def _dsa_kv_cache_dtype_default(view):
    major, _ = torch.cuda.get_device_capability()
    if view.kv_cache_dtype == "auto":
        return {"kv_cache_dtype": "fp8_e4m3" if major >= 10 else "bfloat16"}
    return {}

def _dsa_split_backend_resolution(view):
    hf_config = model_config_of(view).hf_config
    declared = {}
    if view.hi or not is_deepseek_dsa(hf_config):
        return declared
    major, _ = torch.cuda.get_device_capability()
    if view.dsa_prefill_backend is None and view.kv_cache_dtype == "fp8_e4m3":
        if major == 12 and hf_config.architectures[0] == "GlmMoeDsaForCausalLM":
            return {"dsa_prefill_backend": "sparse", "dsa_decode_backend": "sparse"}
        if major == 10 and found_on_this_host():
            raise ValueError("no kernel")
        declared["dsa_prefill_backend"] = declared["dsa_decode_backend"] = "kv"
        return {"dsa_prefill_backend": "kv", "dsa_decode_backend": "kv"}
    if major == 9:
        raise ValueError("bf16 needs SM100")
    return {"dsa_prefill_backend": "flash", "dsa_decode_backend": "trtllm"}
"""
CUDA = b"""
class CudaPlatform:
    pass

def _get_backend_priorities(use_mla, device_capability, num_heads=None, kv_cache_dtype=None):
    tail = [AttentionBackendEnum.SPARSE]
    if device_capability.major == 12:
        tail.insert(0, AttentionBackendEnum.SPARSE_SM120)
    return [AttentionBackendEnum.DENSE, *tail]
"""
REGISTRY = b"""
class AttentionBackendEnum(Enum):
    DENSE = "vllm.b.Dense"
    SPARSE = "vllm.b.Sparse"
    SPARSE_SM120 = ("vllm.b." "SparseSm120")
"""
BACKENDS = b"""
class Base:
    @classmethod
    def is_sparse(cls):
        return False
    @classmethod
    def supports_compute_capability(cls, capability):
        return True

class Dense(Base):
    pass

class Sparse(Base):
    supported_kv_cache_dtypes: ClassVar[list] = ["auto", "fp8"]
    @classmethod
    def is_sparse(cls):
        return True
    @classmethod
    def supports_compute_capability(cls, capability):
        return capability.major in (9, 10)

class SparseSm120(Sparse):
    supported_kv_cache_dtypes: ClassVar[list] = ["auto", "fp8_ds_mla"]
    @classmethod
    def supports_compute_capability(cls, capability):
        return capability.major == 12
"""


def asked(found: dict[str, str], *names: str) -> list[str]:
    return [found[f"GlmMoeDsaForCausalLM {name}"] for name in names]


def test_sglang_s_choice_follows_gpu_dtype_and_architecture() -> None:
    found = sglang_backends(WheelSource({"sglang/srt/overrides.py": OVERRIDES}), FLAGS, GLM)
    assert asked(found, "sm120 auto", "sm120 bfloat16", "sm90 fp8_e4m3") == [
        "sparse, sparse (fp8_e4m3)",
        "flash, trtllm",
        "kv, kv",
    ]


def test_a_release_that_refuses_and_one_that_asks_the_host_are_told_so() -> None:
    found = sglang_backends(WheelSource({"sglang/srt/overrides.py": OVERRIDES}), FLAGS, GLM)
    assert asked(found, "sm90 auto") == ["refused: bf16 needs SM100"]
    assert (
        asked(found, "sm100 auto")[0].startswith("undecided: ")
        and "found_on_this_host" in found["GlmMoeDsaForCausalLM sm100 fp8_e4m3"]
    )


def test_vllm_s_choice_is_the_first_that_takes_sparse_attention_of_the_gpu() -> None:
    files = {"vllm/platforms/cuda.py": CUDA, "vllm/registry.py": REGISTRY, "vllm/b.py": BACKENDS}
    found = vllm_backends(WheelSource(files), GLM)
    assert asked(found, "sm90 auto", "sm100 fp8", "sm120 auto") == ["SPARSE", "SPARSE", "SPARSE_SM120"]
    assert asked(found, "sm120 fp8") == ["undecided: whether fp8 becomes fp8_ds_mla"]


def test_a_decision_under_another_name_is_not_found_and_not_guessed() -> None:
    with pytest.raises(NotFound, match="_dsa_kv_cache_dtype_default"):
        sglang_backends(WheelSource({"sglang/srt/overrides.py": b"def other():\n    pass\n"}), FLAGS, GLM)
