"""The MoE runner that an invented SGLang chooses by itself, in both layouts that releases have had."""

from __future__ import annotations

import pytest

from lab.snapshot.locate import NotFound
from lab.snapshot.runners import sglang_runners
from lab.snapshot.source import WheelSource
from matrix.preflight.snapshot import Flag

GLM = {"GlmMoeDsaForCausalLM": "m"}
FLAGS = (
    Flag(options=("--moe-runner-backend",), dest="moe_runner_backend", default="'auto'"),
    Flag(options=("--moe-a2a-backend",), dest="moe_a2a_backend", default="'none'"),
)
OWN = b"""
def _deepseek_moe_quant_resolution(view):
    model_arch = hf_config.architectures[0]
    if model_arch not in _DEEPSEEK_FAMILY_ARCHS:
        return {}
    overrides = {}
    if is_sm100_supported():
        quant_method = get_quantization_config(hf_config)
        quantization = view.quantization
        if quantization is None:
            overrides["quantization"] = quantization = quant_method
        if view.moe_runner_backend == "auto" and quantization in ["fp8", "modelopt_fp4"]:
            overrides["moe_runner_backend"] = "trtllm"
    return overrides

def _moe_runner_backend_quant_constraints(view):
    moe_runner_backend = view.moe_runner_backend
    if unheard_of(view):
        assert False, "only refuses"
    if moe_runner_backend == "auto" and view.quantization == "modelopt_fp4" and is_sm120_supported():
        moe_runner_backend = "cutlass"
    if moe_runner_backend != view.moe_runner_backend:
        return {"moe_runner_backend": moe_runner_backend}
    return {}
"""
INLINE = b"""
class ServerArgs:
    def _handle_model(self):
        if model_arch in ["GlmMoeDsaForCausalLM", "Other"]:
            if is_sm100_supported():
                quant_method = get_quantization_config(hf_config)
                if self.quantization is None:
                    self.quantization = quant_method
                if self.moe_runner_backend == "auto" and self.quantization in ["fp8"]:
                    self.moe_runner_backend = "trtllm"

    def _handle_moe_kernel_config(self):
        if self.moe_runner_backend == "trtllm":
            assert self.quantization in nobody_knows()
        if wild():
            self.moe_runner_backend = "wild"
"""


def table(text: bytes) -> dict[str, str]:
    found = sglang_runners(WheelSource({"sglang/srt/server_args.py": text}), FLAGS, GLM)
    return {key.removeprefix("GlmMoeDsaForCausalLM "): value for key, value in found.items()}


def test_a_release_with_functions_of_their_own_is_followed() -> None:
    found = table(OWN)
    assert found["sm100 moe nvfp4"] == found["sm103 moe fp8"] == "trtllm"
    assert found["sm100 moe bf16"] == found["sm90 moe fp8"] == "auto"


def test_what_only_the_flag_decides_is_asked_with_the_flag() -> None:
    found = table(OWN)
    assert (found["sm120 moe nvfp4"], found["sm120 moe nvfp4 named"]) == ("auto", "cutlass")


def test_a_branch_over_anything_unknown_is_undecided() -> None:
    assert table(INLINE)["sm100 moe fp8"] == "undecided: wild()"


def test_a_branch_within_the_one_for_all_models_is_found() -> None:
    assert table(INLINE.replace(b"wild():", b"is_sm90_supported():"))["sm100 moe fp8"] == "trtllm"


def test_a_layout_without_the_branch_is_said() -> None:
    with pytest.raises(NotFound, match="GlmMoeDsaForCausalLM"):
        table(b"def _handle_moe_kernel_config(self):\n    pass\nclass ServerArgs:\n    pass\n")
