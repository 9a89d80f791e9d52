"""The MoE backend that an invented vLLM chooses by itself."""

from __future__ import annotations

import pytest

from lab.snapshot.experts import vllm_experts
from lab.snapshot.locate import NotFound
from lab.snapshot.source import WheelSource

GLM = {"GlmMoeDsaForCausalLM": "m"}
ORACLE = b"""
from vllm.kernels import kFp8Static128BlockSym, kFp8Dynamic128Sym
class Fp8MoeBackend(Enum):
    TRTLLM = "TRTLLM"
    BATCHED = "BATCHED"
    BOTH = "BOTH"
    TRITON = "TRITON"

def _get_priority_backends(moe_config, weight_key, activation_key):
    order = [Fp8MoeBackend.TRTLLM, Fp8MoeBackend.BATCHED, Fp8MoeBackend.BOTH, Fp8MoeBackend.TRITON]
    def _move_to_front(backends, backend):
        backends.insert(0, backends.pop(backends.index(backend)))
    if current_platform.is_device_capability(90) and activation_key == kFp8Dynamic128Sym:
        _move_to_front(order, Fp8MoeBackend.TRITON)
    return order

def backend_to_kernel_cls(backend):
    if backend == Fp8MoeBackend.TRTLLM:
        from vllm.kernels import Trtllm
        return [Trtllm]
    elif backend == Fp8MoeBackend.BOTH:
        from vllm.kernels import Both
        return [Both]
    elif backend == Fp8MoeBackend.TRITON:
        from vllm.kernels import Triton
        return [Triton]
"""
KERNELS = b"""
class Base:
    @staticmethod
    def _supports_current_device():
        return current_platform.is_cuda()
    @staticmethod
    def _supports_quant_scheme(weight_key, activation_key):
        supported = [(None, None)]
        supported += [(kFp8Static128BlockSym, kFp8Dynamic128Sym), (kNvfp4Static, kNvfp4Dynamic)]
        return (weight_key, activation_key) in supported

class Triton(Base):
    pass

class Trtllm(Base):
    @staticmethod
    def _supports_current_device():
        p = current_platform
        return p.is_cuda() and p.is_device_capability_family(100) and has_flashinfer()

class Cutlass(Base):
    @staticmethod
    def _supports_current_device():
        return current_platform.has_device_capability(120) and nobody_knows()

class Both:
    @staticmethod
    def get_clses():
        return (Cutlass, Triton)
"""


def table() -> dict[str, str]:
    fp4 = ORACLE.replace(b"_get_priority_backends(moe", b"select_nvfp4_moe_backend(moe").replace(b"Fp8Moe", b"NvFp4Moe")
    fp4 = fp4.replace(b"    order = [", b"    AVAILABLE_BACKENDS = [")
    folder = "vllm/model_executor/layers/fused_moe/oracle"
    files = {f"{folder}/fp8.py": ORACLE, f"{folder}/nvfp4.py": fp4, "vllm/kernels.py": KERNELS}
    found = vllm_experts(WheelSource(files), GLM)
    return {key.removeprefix("GlmMoeDsaForCausalLM "): value for key, value in found.items()}


def test_the_first_that_takes_gpu_and_format_is_chosen() -> None:
    found = table()
    assert found["sm100 moe nvfp4"] == found["sm103 moe fp8"] == "TRTLLM"
    assert found["sm90 moe nvfp4"] == "TRITON"


def test_a_backend_that_is_moved_to_the_front_comes_first() -> None:
    assert table()["sm90 moe fp8"] == "TRITON"


def test_a_class_that_nobody_can_answer_for_is_undecided() -> None:
    assert table()["sm120 moe fp8"] == "undecided: whether BOTH takes it"


def test_a_release_without_an_order_is_said() -> None:
    with pytest.raises(NotFound, match="oracle"):
        vllm_experts(WheelSource({}), GLM)
