"""The script of every plan parses, guards its variables, and serves: against the stub, a false docker and llama.cpp."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from matrix.checkout import CHECKOUT
from matrix.errors import ConfigError
from matrix.model import Cell
from matrix.planning.expand import expand_matrix, find_cell
from matrix.planning.plan import Plan, make_plan
from matrix.serving.places import ServingPlaces
from matrix.serving.script import SECTIONS, choose_sections, render_serving_script
from matrix.yaml.load import load_matrix
from tests.matrix.output.test_script import ATTACKS, awkward_plan

MATRIX = load_matrix()
CELLS = {c.id: c for c in expand_matrix(MATRIX).runnable}
SEED = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"
TRTLLM = "sm120x4.trtllm_1_3_0rc26.glm51_478b_nvfp4.baseline"
LLAMA = "cpu.llamacpp_2026_10_11549.canary_bf16.chunked_prefill"
ODD = ServingPlaces(
    checkout="/my checkout", local={"roots": ["/data/it's"], "models": {"glm5_fp8": "~/m $x"}, "environments": {}}
)
SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def plan_of(cell_id: str) -> Plan:
    return make_plan(MATRIX, CELLS[cell_id])


@cache
def script_of(cell_id: str) -> str:
    return render_serving_script(plan_of(cell_id), ODD)


# No selection asks for a draft, so its forms are asked by id: one of each engine, and one whose commit nobody knows.
DRAFTING = (
    "sm90x8.vllm_0_33_0.glm52_fp8.dspark",
    "sm90x8.sglang_0_5_23.glm53_fp8.dflash2",
    "sm90x8.sglang_0_5_23.glm51_fp8.eagle3",
)


def test_a_draft_is_downloaded_into_the_cache_that_the_engine_sees() -> None:
    cell = find_cell(MATRIX, "sm90x8.vllm_0_33_0.glm52_fp8.dspark")
    assert cell is not None
    script = render_serving_script(make_plan(MATRIX, cell), ODD)
    assert re.search(r'"\$HF" download RedHatAI/GLM-5.2-speculator.dspark --revision [0-9a-f]{40} ', script)
    inside = render_serving_script(make_plan(MATRIX, cell), ODD, docker=True)
    assert '/huggingface}/hub}":/glm-matrix/hub:ro' in inside and "hub:ro" not in script
    assert "-e HF_HUB_CACHE=/glm-matrix/hub" in inside and "-e HF_HUB_OFFLINE=1" in inside


@cache
def one_of_each() -> dict[tuple[object, ...], Cell]:
    """One cell for each kind of script: the engine, what the plan writes and patches, where weights come from."""
    kinds: dict[tuple[object, ...], Cell] = {}
    for cell in CELLS.values():
        plan, checkpoint = make_plan(MATRIX, cell), cell.checkpoint
        source = (bool(checkpoint.weights_path), checkpoint.made_by is not None, bool(checkpoint.repository))
        kind = (cell.engine.id, cell.rig.gpus > 1, cell.rig.gpu.interconnect, bool(plan.values("config")), *source)
        kinds.setdefault((*kind, plan.patch_names, bool(plan.values("serve_config"))), cell)
    return kinds


def scripts_of_each() -> dict[str, str]:
    found = {}
    drafting = {f"{cell_id} with a draft": find_cell(MATRIX, cell_id) for cell_id in DRAFTING}
    for name, cell in {cell.id: cell for cell in one_of_each().values()}.items() | drafting.items():
        assert cell is not None, name
        plan = make_plan(MATRIX, cell)
        found[name] = render_serving_script(plan, ODD)
        if cell.release.image and not plan.patches:
            found[f"{name} --docker"] = render_serving_script(plan, ODD, docker=True)
    return found


def name_shape(plan: Plan) -> tuple[str, str, str]:
    """Name what a launch's script is made of, without its numbers: bash parses 4 as it parses 8."""
    words = plan.argv(model="m", host="h", port="p", api_key_env="k")
    written = [plan.values(section) for section in sorted(plan.sections)]
    made = (words, sorted(plan.env.items()), plan.patch_names, written)
    return plan.cell.engine.id, plan.cell.checkpoint.id, re.sub(r"\d+", "0", repr(made))


def test_bash_parses_the_launch_of_every_plan_and_a_whole_script_of_each_kind() -> None:
    launches = {name_shape(p): p for p in (make_plan(MATRIX, cell) for cell in CELLS.values())}
    texts = [render_serving_script(p, ODD, ("launch",)) for p in launches.values()]
    assert len(texts) > 500
    whole = "\n".join([*texts, *scripts_of_each().values()])
    done = subprocess.run(["bash", "-n"], input=whole, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    by_engine = {re.sub(r"^\S+?\.(\w+?)_\S+", r"\1", name): text for name, text in scripts_of_each().items()}
    for n, text in enumerate(by_engine.values()):
        (tmp_path / f"{n}.sh").write_text(text)
    done = subprocess.run(
        [str(SHELLCHECK), *map(str, sorted(tmp_path.glob("*.sh")))], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


def test_no_variable_can_be_unset_where_it_is_used() -> None:
    for name, text in scripts_of_each().items():
        head = text.partition("\n# --- ")[0]
        made = set(re.findall(r"^ *(?:export )?(\w+)=", text, re.MULTILINE))
        used = set(re.findall(r"\$\{?([A-Z_]{2,})\b(?!:-)", text)) - {"HOME", "PWD", "SECONDS", "PYTHONPATH"}
        assert used <= made | {"FOLDER", "MOUNTS"}, name
        assert "MODEL=/" not in head and "/glm5" not in re.findall(r"MODEL=(\S*)", text)


@pytest.mark.parametrize(
    ("only", "without", "left"),
    [
        ((), (), SECTIONS),
        (("launch",), (), ("launch",)),
        ((), ("env", "weights"), SECTIONS[2:]),
        (("ask", "launch"), ("ask",), ("launch",)),
    ],
)
def test_sections_can_be_left_out(only: tuple[str, ...], without: tuple[str, ...], left: tuple[str, ...]) -> None:
    assert choose_sections(only=only, without=without) == left


def test_a_script_of_no_section_is_refused() -> None:
    with pytest.raises(ConfigError, match="no section is left of env"):
        choose_sections(only=("env",), without=("env",))


def test_a_section_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no section 'weight'; did you mean 'weights'"):
        choose_sections(without=("weight",))


def test_the_launch_alone_is_in_the_foreground_and_asks_for_what_it_needs() -> None:
    text = render_serving_script(plan_of(SEED), ServingPlaces(), ("launch",))
    assert 'exec "$VENV"/bin/python -m sglang.launch_server' in text
    assert "VENV=${VENV:?the environment of sglang_0_5_10_post1}" in text and "MODEL=${MODEL:?" in text


def test_local_settings_are_used() -> None:
    local = {"models": {"glm51_478b_nvfp4": "/data/my model"}, "environments": {"sglang_0_5_10_post1": "~/sg lang"}}
    text = render_serving_script(plan_of(SEED), ServingPlaces(local=local))
    assert "MODEL=${MODEL:-'/data/my model'}" in text and "VENV=${VENV:-\"$HOME\"/'sg lang'}" in text
    assert "installed-from.lock" not in text


def test_a_patch_is_verified_by_digest_and_by_effect() -> None:
    text = script_of(SEED)
    assert "sha256sum --check" in text and 'export PYTHONPATH="$PATCHED' in text and "PathFinder" in text
    assert "dsa_selected: sparse attention was selected" in text


def test_a_container_listens_on_its_own_network_and_is_published_on_loopback() -> None:
    text = script_of(TRTLLM)
    assert '-p 127.0.0.1:"$PORT":8000' in text and "--host 0.0.0.0" in text and '"${MOUNTS[@]}"' in text
    assert '-v "$PWD/serve_config.yaml":/glm-matrix/serve_config.yaml:ro' in text


def test_what_no_container_can_do_is_one_error() -> None:
    with pytest.raises(ConfigError, match="no image of sglang_0_5_10_post1 is known"):
        render_serving_script(plan_of(SEED), ServingPlaces(), docker=True)


def test_the_lock_is_not_said_to_be_the_published_environment() -> None:
    """What the recipe says of the lock is what stands in the lock."""
    why = next(o.value.why for o in MATRIX.overlays if o.value.id == "seed004_versions")
    lock = (CHECKOUT / "requirements/engines/sglang_0_5_10_post1.lock").read_text("utf-8")
    here = why.partition("(")[2].partition(")")[0]
    names = {"cublas": "nvidia-cublas-cu12", "nvrtc": "nvidia-cuda-nvrtc-cu12", "cutlass-dsl": "nvidia-cutlass-dsl"}
    for name, version in re.findall(r"([\w-]+) (\d[\w.]+)", here):
        assert f"{names.get(name, name)}=={version} " in lock, name


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def serve(text: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end: KEEP=0 stops the server after the proof."""
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "KEEP": "0", "POLL_S": "0.1", "WAIT_S": "50"}
    return subprocess.run(
        ["bash"],
        input=text,
        env={**own, "PORT": str(free_port()), "API_KEY": "stub-key", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


STUB = f"""#!/bin/bash
for word in "$@"; do [ "$last" != --port ] || port=$word; last=$word; done
echo "KV Cache is allocated. dtype: torch.float8_e4m3fn, #tokens: 270060, KV size: 11.30 GB"
echo "${{SAYS:-}}"
cd {CHECKOUT} && exec {sys.executable} -m tests.faults.stub.engine --port "$port" --dialect sglang
"""
DOCKER = f"""#!/bin/bash
echo "$@" >> "$HOME/docker.log"
[ "$1" = run ] || exit 0
for word in "$@"; do case $word in 127.0.0.1:*:8000) port=${{word#127.0.0.1:}}; port=${{port%:8000}};; esac; done
cd {CHECKOUT} && exec {sys.executable} -m tests.faults.stub.engine --port "$port" --dialect vllm
"""


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    return put(tmp_path / "venv dir/bin/python", STUB).parents[1]


RUN = ("launch", "wait", "ask", "proof", "stop")


def test_it_serves_asks_proves_and_stops(venv: Path, tmp_path: Path) -> None:
    text = render_serving_script(plan_of(SEED), ServingPlaces(), RUN)
    done = serve(text, tmp_path, VENV=str(venv), MODEL=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "answer: " in done.stdout and "#tokens: 270060" in done.stdout
    [log] = tmp_path.glob("serve-*.log")
    [address] = re.findall(r"http://127\.0\.0\.1:(\d+)", log.read_text())
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", int(address)), timeout=5):
        pass


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"SAYS": "Use nsa attention backend for DeepSeek"}, "sparse attention was selected"),
        ({"VENV": ""}, "VENV: the environment of sglang_0_5_10_post1"),
        ({"PORT": "nonsense"}, "the engine ended before it was ready"),
    ],
    ids=["refuted", "unset", "dies"],
)
def test_what_goes_wrong_is_said(environment: dict[str, str], told: str, venv: Path, tmp_path: Path) -> None:
    text = render_serving_script(plan_of(SEED), ServingPlaces(), RUN)
    done = serve(text, tmp_path, **{"VENV": str(venv), "MODEL": str(tmp_path), **environment})
    assert done.returncode == 1 and told in done.stderr


def test_a_container_form_runs_with_a_docker_that_starts_the_stub(tmp_path: Path) -> None:
    put(tmp_path / "bin/docker", DOCKER)
    model = tmp_path / "my model"
    model.mkdir()
    (model / "config.json").symlink_to(put(tmp_path / "blobs/1", "{}"))
    text = render_serving_script(plan_of(TRTLLM), ServingPlaces(), ("env", *RUN))
    done = serve(text, tmp_path, PATH=f"{tmp_path}/bin:{os.environ['PATH']}", MODEL=str(model), IMAGE="a@sha256:0")
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "docker.log").read_text()
    assert f"{model}:{model}:ro" in asked and f"{tmp_path}/blobs:{tmp_path}/blobs:ro" in asked
    assert "stop --time 30 glm-" in asked and (tmp_path / "serve_config.yaml").is_file()


def test_the_embedded_engine_answers_from_the_whole_script(tmp_path: Path) -> None:
    text = render_serving_script(plan_of(LLAMA), ServingPlaces(checkout=str(CHECKOUT)))
    done = serve(text, tmp_path, VENV=str(Path(sys.executable).parents[1]))
    assert done.returncode == 0, done.stderr
    assert "answer: " in done.stdout and "Warsaw" in done.stdout
    assert (tmp_path / "serve.log").is_file()


def test_awkward_words_reach_the_engine_unchanged(tmp_path: Path) -> None:
    toy = "import json,os,sys;print(json.dumps([sys.argv[1:], os.environ['TEXT']]))"
    put(tmp_path / "venv/bin/toy", f"#!{sys.executable}\n{toy}\n")
    made = awkward_plan(tmp_path)
    text = render_serving_script(made, ServingPlaces(), ("launch",))
    done = serve(text, tmp_path, VENV=str(tmp_path / "venv"), MODEL="/m dir", PORT="7")
    assert done.returncode == 0, done.stderr
    argv, value = json.loads(done.stdout)
    assert argv == made.argv(model="/m dir", port="7")[1:] and value == "two words; $(no)"


def attacked(made: Plan, attack: str) -> Plan:
    """Return the plan with the attack in every word that a section prints, besides arguments and variables."""
    cell, setting = made.cell, made.sections["args"][0]
    hostile = replace(
        cell,
        rig=replace(cell.rig, gpu=replace(cell.rig.gpu, name=attack)),
        release=replace(cell.release, id=attack, image=attack),
        checkpoint=replace(cell.checkpoint, id=attack, repository=attack, revision=attack, weights_path=attack),
        engine=replace(cell.engine, health_path=attack, observe={"kv_tokens": {"log": attack}}),
    )
    words = tuple(replace(setting, path=(key,), value=attack) for key in ("python", "requirements", "shm_size"))
    return replace(made, cell=hostile, sections={**made.sections, "launcher": words})


def test_no_value_of_yaml_is_obeyed(tmp_path: Path) -> None:
    made, bodies = awkward_plan(tmp_path), []
    for attack in ATTACKS:
        plan, places = attacked(made, attack), ServingPlaces(checkout=attack, local={"roots": [attack]})
        dangerous = "PWNED" in attack
        for only in ((name,) for name in SECTIONS if dangerous or name == "weights"):
            for docker in (False, True):
                bodies.append(render_serving_script(plan, places, only, docker=docker))
    script = "\n".join(f"main_{n}() {{\n{body}\n}}" for n, body in enumerate(bodies))
    runs = "\n".join(f"( main_{n} ) </dev/null || true" for n in range(len(bodies)))
    done = subprocess.run(
        ["bash"],
        input=f"{script}\nPATH=/nonexistent\n{runs}\n".replace("touch PWNED", "echo ATTACKED >&2").encode(),
        env={"HOME": str(tmp_path), "VENV": "/v", "MODEL": "/m", "SERVER": "1", "LOG": "/nothing", "WAIT_S": "0"},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"syntax error" not in done.stderr
    assert b"\nATTACKED\n" not in b"\n" + done.stderr.replace(b"\n", b"\n\n")


@pytest.mark.parametrize(
    ("cell_id", "limit", "switch"),
    [
        ("sm90x8.sglang_0_5_23.glm53_fp8.baseline", 4096, None),  # no request switches it off: room for the thought
        ("sm90x8.sglang_0_5_23.glm52_fp8.baseline", 64, {"enable_thinking": False}),
    ],
)
def test_the_question_has_room_for_a_thought_that_cannot_be_switched_off(
    cell_id: str, limit: int, switch: dict[str, bool] | None
) -> None:
    found = find_cell(MATRIX, cell_id)
    assert found is not None
    asked = re.search(r'"\$NAME" \'(\{.*\})\'\)', render_serving_script(make_plan(MATRIX, found), ODD, ["ask"]))
    assert asked is not None
    body = json.loads(asked[1])
    assert (body["max_tokens"], body.get("chat_template_kwargs")) == (limit, switch)
