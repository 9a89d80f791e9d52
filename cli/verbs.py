"""Every verb. To add one: an entry in its group and its `load_...` in programs.py; help and reference follow.

Verbs that look, prepare and run stand here, those that judge and those of maintainers in files of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli import programs
from cli.completion import make_completion
from cli.judge_verbs import JUDGE
from cli.maintain_verbs import MAINTAIN
from cli.verb import NOTHING, Verb

CELL: Final = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"
NO_CELL: Final = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.indexcache_mtp"
MISFIT: Final = {1: "the launch does not fit in the rig's memory"}


def _matrix(name: str, summary: str, example: str, codes: Mapping[int, str] = NOTHING) -> Verb:
    return Verb("look", name, summary, example, codes, programs.matrix_verb(name))


LOOK: Final = (
    _matrix("list", "list the cells as a table or JSON", 'list -m "sm120x4 and not mtp"', {1: "no cell is runnable"}),
    Verb(
        "look",
        "recommend",
        "say which launches to try first on your GPUs, and what is known of each",
        'recommend --gpus "4x RTX PRO 6000"',
        {1: "nothing can be recommended"},
        programs.load_recommend,
    ),
    Verb(
        "look",
        "show",
        "print a script that serves a cell from an empty machine on",
        f"show {CELL}",
        MISFIT,
        programs.load_show,
    ),
    _matrix("explain", "print every setting of a cell with its reason and source", f"explain {CELL}", MISFIT),
    _matrix("why-not", "print the chain of reasons why a cell is not run", f"why-not {NO_CELL}"),
    _matrix("lint", "load and plan everything, report every problem at once", "lint"),
    Verb(
        "look",
        "why",
        "say what a status, rule, check, known failure or fault sees, and what to do",
        "why XPASS",
        NOTHING,
        programs.load_why,
    ),
    Verb(
        "look",
        "preflight",
        "judge plans by the pinned engine's own parser, without starting it",
        f"preflight {CELL}",
        {1: "a plan is rejected"},
        programs.load_preflight,
    ),
    Verb(
        "look",
        "check",
        "check your own launch line, script, compose file or manifest",
        "check --rig sm120x4 --release sglang==0.5.20 -- python -m sglang.launch_server --model-path zai-org/GLM-5.1",
        {1: "something in it is wrong", 3: "risky, or a part cannot be judged"},
        programs.load_check,
    ),
    Verb(
        "look",
        "upgrade",
        "say what another release changes for a cell or for your own launch line",
        f"upgrade {CELL} --to 0.5.17",
        {1: "it does not start there, or answers wrongly", 3: "risky, or a part cannot be judged"},
        programs.load_upgrade,
    ),
    Verb(
        "look",
        "facts",
        "print in which releases a fact of the wheels holds, and what decides it",
        "facts",
        NOTHING,
        programs.load_facts,
    ),
    Verb(
        "look",
        "parsers",
        "show what each release's own parsers make of a corpus of replies",
        "parsers --release vllm==0.33.0",
        {1: "a parser answers wrongly"},
        programs.load_parsers,
    ),
    Verb(
        "look",
        "plan",
        "plan a run: launches in tiers, their order and durations, what is left out",
        "plan --rig sm120x4 --budget 8h",
        {1: "nothing is left to plan"},
        programs.load_plan,
    ),
)
PREPARE: Final = (
    Verb(
        "prepare",
        "doctor",
        "say what this host can run, what blocks it and the next step",
        "doctor --rig sm120x4",
        {1: "a rig that was looked at can run nothing"},
        programs.load_doctor,
    ),
    Verb(
        "prepare",
        "weights",
        "find a checkpoint's weights, or say how to download them",
        "weights glm51_478b_nvfp4",
        {1: "a checkpoint is missing, incomplete or unknown"},
        programs.load_weights,
    ),
    Verb(
        "prepare",
        "judge-checkpoint",
        "judge a checkpoint's own files: is it published soundly?",
        "judge-checkpoint fixtures/canary/hf",
        {1: "something is wrong with it", 3: "a part could not be judged"},
        programs.load_judge_checkpoint,
    ),
    Verb(
        "prepare",
        "add",
        "write a checkpoint, rig, release, patch, known failure, claim or first gate",
        "add checkpoint /models/GLM-5.1-NVFP4",
        {1: "written, and the checkpoint is faulty", 3: "written, and a part could not be judged"},
        programs.load_add,
    ),
    Verb(
        "prepare",
        "venv",
        "lock or build an engine release's own environment",
        "venv build sglang_0_5_23",
        {1: "unknown release, or it could not be built"},
        programs.load_venv,
    ),
    Verb(
        "prepare",
        "image",
        "record which image a tag is: without a record it is not launched",
        "image pin vllm_0_16_0",
        NOTHING,
        programs.load_image,
    ),
    Verb(
        "prepare",
        "patch",
        "apply a patch to a copy of an engine's file",
        "patch sglang_0_5_10_post1_sm120 --source SITE_PACKAGES --check",
        {1: "the patch refuses this file"},
        programs.load_patch,
    ),
    Verb(
        "prepare",
        "overlay",
        "make a checkpoint directory with a changed config.json, without a copy",
        "overlay fixtures/canary/hf --merge config.json '{\"index_topk\": 64}'",
        NOTHING,
        programs.load_overlay,
    ),
    Verb(
        "prepare",
        "canary",
        "make the canary's quantised and pruned relatives",
        "canary list",
        NOTHING,
        programs.load_canary,
    ),
    Verb(
        "prepare",
        "who",
        "say who has which GPU and port of this host, and who waits",
        "who",
        NOTHING,
        programs.load_who,
    ),
    Verb(
        "prepare",
        "reap",
        "stop and remove whatever dead runs left behind",
        "reap --dry-run",
        {1: "something could not be removed"},
        programs.load_reap,
    ),
    Verb(
        "prepare",
        "completion",
        "print the completion script for a shell",
        "completion bash > ~/.local/share/bash-completion/completions/glm-matrix",
        NOTHING,
        lambda: make_completion(VERBS.values),
    ),
)
RUN: Final = (
    Verb(
        "run",
        "recipe",
        "print a CI file that runs a policy every night, for five systems or cron",
        "recipe gitlab --policy ci/gates/starter/sm120x4.yaml",
        NOTHING,
        programs.load_recipe,
    ),
    Verb(
        "run",
        "submit",
        "send a run plan to Slurm, or write it for Kubernetes or a CI system",
        "submit plan.json --to slurm --shared /shared/night --dry-run",
        NOTHING,
        programs.load_submit,
    ),
    Verb(
        "run",
        "fleet",
        "say how a submission stands, cancel it, or collect and judge its evidence",
        "fleet status /shared/night",
        {1: "a launch group is red or lost, or the gate is red", 3: "not over: something waits or runs"},
        programs.load_fleet,
    ),
    Verb(
        "run",
        "probe",
        "say what serves at an address and whether it answers right",
        "probe http://127.0.0.1:8000",
        {1: "an answer is wrong", 3: "not everything could be asked"},
        programs.load_probe,
    ),
    Verb(
        "run",
        "bisect",
        "find the release that broke a cell, and the setting that matters",
        f"bisect {CELL} --good 0.5.10.post1 --bad 0.5.17 --dry-run",
        {
            1: "NOT SO: the good release fails, or the bad one does not",
            3: "UNDECIDED: the boots or answers are used up",
        },
        programs.load_bisect,
    ),
    Verb(
        "run",
        "llamacpp",
        "serve a checkpoint with the embedded llama.cpp",
        "llamacpp --model fixtures/canary/hf",
        {1: "llama.cpp refuses the model or an option"},
        programs.load_llamacpp,
    ),
    Verb(
        "run",
        "load",
        "load a server: at a rate, or up to the highest one that keeps an SLO",
        "load http://127.0.0.1:8000 --knee --slo ttft=500ms,tpot=50ms",
        {1: "a request failed, or a rate does not hold", 3: "the knee is not known: the time or the rates are used up"},
        programs.load_load,
    ),
    Verb(
        "run",
        "load-bench",
        "measure the load client against a server of known pace",
        "load-bench --json",
        {1: "the client is not fit to measure on this host"},
        programs.load_load_bench,
    ),
    Verb(
        "run",
        "mock-server",
        "stream made-up tokens at a known pace",
        "mock-server --ttft-ms 50",
        NOTHING,
        programs.load_mock_server,
    ),
)
# Help lists a group's verbs in this order, which is also that of `glm-matrix --help` and of the reference page.
VERBS: Final[Mapping[str, Verb]] = {v.name: v for v in (*LOOK, *PREPARE, *RUN, *JUDGE, *MAINTAIN)}
