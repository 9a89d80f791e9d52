"""What a log tells of its engine's end. Frames and lines around the phrases are ours; the phrases are the engines'."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.checkout import CHECKOUT
from matrix.judging.launch_causes import HANG_UNDER_LOAD, UNKNOWN, LaunchCause, find_launch_cause
from matrix.judging.launch_log import LINE_CHARS
from matrix.yaml.load import load_matrix
from tests.pace import within_cpu_s

LOGS = CHECKOUT / "tests" / "fixtures" / "logs"
ENGINES = load_matrix().engines
FRAMES = ['  File "/e/loader.py", line 7, in load', "    raise RuntimeError('CUDA out of memory')", "    ^^^^^"]


def find(text: str, engine: str = "sglang", *, serving: bool = False) -> LaunchCause | None:
    about = ENGINES[engine]
    return find_launch_cause(text, about.causes, noise=(*about.heartbeats, *about.load), serving=serving)


def found(text: str, engine: str = "sglang", *, serving: bool = False) -> LaunchCause:
    cause = find(text, engine, serving=serving)
    assert cause is not None, text
    return cause


def test_a_script_without_its_main_guard_is_the_hosts() -> None:
    said = (
        "\n        An attempt has been made to start a new process before the\n        current process has finished its"
    )
    text = (
        traceback(f"RuntimeError: {said} bootstrapping phase.")
        + "\n"
        + traceback("RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}")
    )
    cause = found(text, "vllm")
    assert (cause.id, cause.fault) == ("no_main_guard", "host")


def traceback(exception: str, prefix: str = "") -> str:
    return "\n".join(prefix + line for line in ("Traceback (most recent call last):", *FRAMES, exception))


@pytest.mark.parametrize(
    ("line", "id_"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.00 GiB", "oom"),
        ("RuntimeError: out of memory in the sparse decode kernel", "oom"),
        ("RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.", "oom"),
        ("RuntimeError: The size of tensor a (3072) must match the size of tensor b (6144)", "fusion_mismatch"),
        ("RuntimeError: The size of tensor a (256) must match the size of tensor b (576)", "size_mismatch"),
        ("RuntimeError: Sizes of tensors must match except in dimension 1. Expected size 256", "size_mismatch"),
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", "no_kernel"),
        ("RuntimeError: Unsupported architecture", "no_kernel"),
        ("RuntimeError: The memory capacity is unbalanced. Some GPUs may be occupied.", "gpu_shared"),
        ("ValueError: No valid attention backend found for cuda with AttentionSelectorConfig", "no_kernel"),
        ("ModuleNotFoundError: No module named 'quack'", "missing_library"),
        ("ImportError: libcudart.so.13: cannot open shared object file: No such file", "missing_library"),
        ("ModuleNotFoundError: No module named 'sglang.srt.models.glm5'", "own_module_missing"),
        ("ImportError: cannot import name 'AutoVideoProcessor' from 'transformers'", "import_failed"),
        ("launch_server.py: error: unrecognized arguments: --no-such-flag", "refused_flag"),
        ("vllm serve: error: argument --kv-cache-dtype: invalid choice: 'fp9'", "refused_flag"),
        ("RuntimeError: NCCL error: unhandled system error", "nccl"),
        ("RuntimeError: RCCL error in: ProcessGroupNCCL.cpp", "nccl"),
        ("[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1)", "nccl_timeout"),
        ("Scheduler watchdog timeout (self.watchdog_timeout=300, self.soft=False)", "hang"),
        ("[full] total=464256, available=768, evictable=432960, protected=30464", "kv_pool_full"),
        ("OSError: [Errno 30] Read-only file system: '/root/.novel_cache'", "read_only_place"),
        ("OSError: [Errno 98] error while attempting to bind: address already in use", "port_taken"),
        ("KeyError: 'layers.1.self_attn.indexer.k_norm.weight'", "key_missing"),
        ("KeyError: 'glm_moe_dsa'", "unknown_model_type"),
        ("ValueError: model type `x` but Transformers does not recognize this architecture", "unknown_model_type"),
        ("RuntimeError: CUDA error: an illegal memory access was encountered", "illegal_memory_access"),
        ("AssertionError", "assertion"),
        ("GGML_ASSERT(ggml_can_mul_mat(a, b)) failed", "assertion"),
        ("OSError: [Errno 28] No space left on device", "disk_full"),
        ("RuntimeError: unable to write: No space left on device: '/dev/shm/nccl-3'", "shm_too_small"),
        ("PermissionError: [Errno 13] Permission denied: '/root/.triton'", "permission"),
        ("RuntimeError: CUDA driver version is insufficient for CUDA runtime version", "driver_too_old"),
        ("RuntimeError: CUTLASS: this kernel only supports sm100", "no_kernel"),
        ("error: invalid argument: --flash-attn", "refused_flag"),
        ("NCCL WARN Error while creating shared memory segment /dev/shm/nccl-abc: No space left", "shm_too_small"),
        ("worker 3 terminated, exitcode: -9", "killed"),
        ("Worker proc VllmWorker-1 died unexpectedly (exit code: -9), shutting down executor.", "killed"),
        ("RuntimeError: Process EngineCore_DP0 (PID: 7) died with exit code -9", "killed"),
        ("RuntimeError: Engine core initialization failed. Failed core proc(s): {'EngineCore_DP0': -9}", "killed"),
        ("Scheduler or DataParallelController 77 terminated with -9", "killed"),
        ("RuntimeError: Weight cache daemon (pid=7) exited prematurely with code -9", "killed"),
        ("Out of memory: Killed process 77 (python) total-vm:9kB", "main_memory"),
        ("oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=python,pid=77", "main_memory"),
        ("Fatal Python error: Segmentation fault", "segfault"),
        ("NotImplementedError: speculative decoding with this draft model is not supported", "draft_model"),
        ("supervisor: cannot start /env/bin/vllm: No such file or directory", "no_program"),
        ("mpirun noticed that process rank 3 with PID 0 on node h exited on signal 9 (Killed).", "killed"),
        ("mpirun noticed that process rank 3 with PID 0 on node h exited on signal 11.", "segfault"),
        ("mpirun noticed that process rank 3 with PID 0 on node h exited on signal 4.", "illegal_instruction"),
        ("Illegal instruction (core dumped)", "illegal_instruction"),
        ("bash: line 1: 77 Illegal instruction (core dumped) llama-server", "illegal_instruction"),
        ("RuntimeError: CUDA error: an illegal instruction was encountered", "illegal_memory_access"),
        ("ptxas fatal   : Value 'sm_120a' is not defined for option 'gpu-name'", "no_kernel"),
        ("nvcc fatal   : Unsupported gpu architecture 'compute_120a'", "no_kernel"),
        ("Error: Invalid value for '--backend': 'foo' is not one of 'pytorch', 'tensorrt'.", "refused_flag"),
        ("Error: Missing option '--model'.", "refused_flag"),
        ("Error: Option '--tp_size' requires an argument.", "refused_flag"),
        ("OSError: You are trying to access a gated repo.", "hub_refused"),
        ("huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error.", "hub_refused"),
        ("ValueError: 9.5 GiB KV cache is needed, which is larger than the available KV cache memory", "no_kv_room"),
    ],
)
def test_each_cause_has_its_class(line: str, id_: str) -> None:
    engine = "vllm" if "vllm" in line or "attention backend" in line else "sglang"
    assert found(line, engine).id == id_
    assert found(f"[2026-11-29 02:00:00 TP3] {line}", engine).id == id_
    if ": " in line and line.partition(":")[0].endswith("Error"):
        assert found(traceback(line), engine).line.startswith(line[:60])


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_the_first_of_eight_ranks_knows_and_the_parent_does_not(engine: str) -> None:
    lines = [f"[TP{rank}] scheduler failed: CUDA out of memory on device 3" for rank in range(8) for _ in range(2)]
    lines += ["[TP0]   frame: loader step"] * 40 + ["parent: a child sent SIGQUIT, ending"] * 8 + ["supervisor: killed"]
    cause = found("\n".join(lines), engine)
    assert (cause.id, cause.rank) == ("oom", "TP0")
    assert cause.ranks == ("TP0 (and 7 more): scheduler failed: CUDA out of memory on device 3",)


def test_ranks_that_say_different_things_are_all_told() -> None:
    text = "\n".join(
        (traceback("ValueError: a", "[rank1]: "), traceback("torch.OutOfMemoryError: CUDA out of memory", "[rank0]: "))
    )
    cause = found(text)
    assert (cause.id, cause.line, cause.rank) == (UNKNOWN, "ValueError: a", "rank 1")
    assert cause.ranks == ("rank 1: ValueError: a", "rank 0: torch.OutOfMemoryError: CUDA out of memory")


def test_of_exceptions_raised_from_one_another_the_innermost_is_told() -> None:
    link = "\nThe above exception was the direct cause of the following exception:\n\n"
    handled = "\nDuring handling of the above exception, another exception occurred:\n\n"
    for between in (link, handled):
        cause = found(traceback("ZeroDivisionError: a") + "\n" + between + traceback("RuntimeError: b"))
        assert (cause.line, cause.became) == ("ZeroDivisionError: a", "RuntimeError: b")
        assert "it became RuntimeError: b" in cause.describe()
    known = found(
        traceback("AttributeError: x") + "\n" + handled + traceback("torch.OutOfMemoryError: CUDA out of memory")
    )
    assert known.id == "oom"


def test_what_a_broken_pipe_is_told_as_stands_before_the_pipe() -> None:
    handled = "\nDuring handling of the above exception, another exception occurred:\n\n"
    for last, id_ in (
        ("RuntimeError: worker is gone, see its log", UNKNOWN),
        ("RuntimeError: exit code: -9", "killed"),
    ):
        cause = found(traceback("EOFError") + "\n" + handled + traceback(last))
        assert (cause.line, cause.id, cause.became) == (last, id_, "")


def test_a_parents_exception_is_told_only_where_there_is_no_other() -> None:
    parent = traceback("RuntimeError: Engine core initialization failed. See root cause above.", "(APIServer pid=1) ")
    child = traceback(
        "TypeError: object of type 'int' has no len()", "(EngineCore pid=2) ERROR 11-21 01:05:43 [core.py:1] "
    )
    for text in (parent + "\n" + child, child + "\n" + parent):
        assert (found(text, "vllm").line, found(text, "vllm").rank) == (
            "TypeError: object of type 'int' has no len()",
            "EngineCore",
        )
    assert found(parent, "vllm").line.startswith("RuntimeError: Engine core")
    assert found(parent, "vllm").id == UNKNOWN


def test_what_ray_says_of_a_dead_worker_is_told_only_where_nobody_says_why() -> None:
    ray = "ray.exceptions.WorkerCrashedError: The worker died unexpectedly while executing this task."
    cause = found(f"{traceback(ray)}\nworker 3 terminated, exitcode: -9", "vllm")
    assert cause.id == "killed"
    assert found(traceback(ray), "vllm").line == ray


def test_who_waited_is_not_who_failed() -> None:
    waited = "[Rank 1] Watchdog caught collective operation timeout: WorkNCCL(OpType=ALLREDUCE)"
    assert found(waited + "\n" + traceback("torch.OutOfMemoryError: CUDA out of memory", "[rank0]: ")).id == "oom"


@pytest.mark.parametrize(
    "benign",
    [
        "[2026-11-29 01:59:37] Ignore import error when loading sglang.srt.models.inkling: No module named 'quack'",
        "(APIServer pid=1) WARNING 11-29 02:09:15 [utils.py:2] no ulimit: OSError: [Errno 24]",
        "INFO 11-29 02:09:15 [utils.py:2] CUDA out of memory would end this",
        "server_args=ServerArgs(log_level='error', speculative_algorithm='EAGLE', watchdog_timeout=300)",
        "Received request 1: prompt: 'CUDA out of memory', params: x",
        "Decode batch, #running-req: 1, gen throughput (token/s): 98.86, #queue-req: 0",
    ],
)
def test_what_is_said_aside_decides_nothing(benign: str) -> None:
    assert found(f"{benign}\n{traceback('LookupError: the cause')}").line == "LookupError: the cause"
    alone = find(benign)
    assert alone is None or alone.quiet


def test_what_our_own_stop_provokes_is_no_cause() -> None:
    text = "serving\nsupervisor: SIGINT to process group 7, waiting 20 s\n" + traceback("RuntimeError: closed")
    assert find(text) is None


def test_details_behind_an_exception_count() -> None:
    text = traceback("pydantic_core.ValidationError: 1 validation error for ModelConfig") + (
        "\n  Value error, The checkpoint has model type `x` and Transformers does not recognize this architecture\n"
    )
    assert found(text, "vllm").id == "unknown_model_type"


def test_details_behind_an_exception_without_a_traceback_count() -> None:
    assert (
        found("RuntimeError: Error(s) in loading state_dict for X:\n\tsize mismatch for a.weight: x").id
        == "size_mismatch"
    )


def test_a_step_that_times_out_is_a_hang_and_under_load_one_of_that_name() -> None:
    text = "TimeoutError: RPC call to sample_tokens timed out.\nEngineDeadError: EngineCore encountered an issue."
    assert found(text, "vllm").id == "hang"
    assert found(text, "vllm", serving=True).id == HANG_UNDER_LOAD


def test_a_failure_of_no_class_is_told_in_its_own_words() -> None:
    cause = found("[TP2] scheduler failed: the frobnicator is missing\nparent: SIGQUIT received")
    assert (cause.id, cause.line, cause.rank) == (UNKNOWN, "scheduler failed: the frobnicator is missing", "TP2")
    assert "class unknown" in cause.describe()


GROUP = """
  + Exception Group Traceback (most recent call last):
  |   File "a", line 1, in serve
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "b", line 2, in load
    | ValueError: deep
    +------------------------------------
"""


def test_colours_groups_and_carriage_returns_hide_nothing() -> None:
    assert found(GROUP).line == "ValueError: deep"
    assert found("loading 10%\r\x1b[31mtorch.OutOfMemoryError: CUDA out of memory\x1b[0m").id == "oom"


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.log")), ids=lambda p: p.stem)
def test_a_real_healthy_log_tells_no_cause(path: Path) -> None:
    engine = "llamacpp" if path.stem.startswith("llama") else path.stem.partition("_")[0]
    cause = find(path.read_text(errors="replace"), engine)
    if path.stem == "vllm_0_26_0_pattern_of_wrong_type":
        assert cause is not None and cause.line == "TypeError: object of type 'int' has no len()"
    else:
        assert cause is None or cause.quiet


def test_every_class_has_a_next_step_and_a_source() -> None:
    causes = [c for e in ENGINES.values() for c in e.causes]
    assert all(c.remedy and c.source for c in causes)
    assert {c.fault for c in causes if c.role != "cause"} == {"engine"}


@pytest.mark.parametrize(
    "letter", ["a", "A", " ", "(", "available=1, ", "Error: ", "x.", "[TP0] ", "1:00 ", "CUDA GPU "]
)
def test_no_pattern_takes_long_on_a_hostile_line(letter: str) -> None:
    line = (letter * LINE_CHARS)[:LINE_CHARS] + "!"
    with within_cpu_s(5):
        for engine in ("sglang", "vllm"):
            find("\n".join([line] * 5), engine)


@given(st.text(st.sampled_from('Traceback (most recent call last):\n  File"[]TP0|+\x1b\r:Error.(pid=1) \n')))
def test_any_text_is_read_without_trouble(text: str) -> None:
    cause = find(text)
    assert cause is None or cause.describe()
