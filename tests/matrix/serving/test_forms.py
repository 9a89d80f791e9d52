"""Compose files and systemd units read back as the plan; `$` and `%` are escaped."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from matrix.errors import ConfigError
from matrix.output import writable
from matrix.output.script import render_script
from matrix.planning.expand import expand_matrix, find_cell
from matrix.planning.plan import Plan, make_plan
from matrix.serving.container import MODEL, refuse_tag_alone, render_compose
from matrix.serving.places import ServingPlaces
from matrix.serving.script import render_serving_script
from matrix.serving.systemd import render_unit
from matrix.yaml.load import load_matrix
from tests.matrix.output.test_script import awkward_plan
from tests.matrix.serving.test_script import DRAFTING

MATRIX = load_matrix()
CELLS = {c.id: c for c in expand_matrix(MATRIX).runnable}
TRTLLM = "sm120x4.trtllm_1_3_0rc26.glm51_478b_nvfp4.baseline"
SEED = "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline"
DIGEST = "sha256:" + "a" * 64
TAG = MATRIX.releases["trtllm_1_3_0rc26"].image or ""
RECORDED = ServingPlaces(read_images=lambda: {r.image: DIGEST for r in MATRIX.releases.values() if r.image})
SAMPLE = [c for c in list(CELLS.values())[::40] if c.release.image]


def plan_of(cell_id: str) -> Plan:
    return make_plan(MATRIX, CELLS[cell_id])


def test_a_compose_file_says_what_the_plan_says() -> None:
    assert len(SAMPLE) > 5
    for cell in SAMPLE:
        plan = make_plan(MATRIX, cell)
        service = yaml.safe_load(render_compose(plan))["services"]["engine"]
        port = cell.engine.default_port
        assert service["ports"] == [f"127.0.0.1:${{PORT:-{port}}}:{port}"]
        words = [*service.get("entrypoint", []), *service["command"]]
        meant = [w.replace("$$", "$").replace(MODEL, "{model}") for w in words]
        assert [w for w in plan.arguments() if w not in ("{host}", "{port}") and w not in meant] == []
        assert "0.0.0.0" in words or "--host" not in plan.arguments()
        assert plan.env.items() <= {k: v.replace("$$", "$") for k, v in service["environment"].items()}.items()
        assert service["volumes"][0] == {"type": "bind", "source": MODEL, "target": MODEL, "read_only": True}


def test_a_compose_file_holds_the_engines_own_file() -> None:
    whole = yaml.safe_load(render_compose(plan_of(TRTLLM)))
    assert yaml.safe_load(whole["configs"]["serve_config"]["content"]) == plan_of(TRTLLM).values("serve_config")
    assert whole["services"]["engine"]["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 4


def test_the_health_check_asks_past_the_proxy_that_docker_hands_into_a_container() -> None:
    service = yaml.safe_load(render_compose(plan_of(TRTLLM)))["services"]["engine"]
    *_, probe = service["healthcheck"]["test"]
    assert compile(probe, "probe", "exec") and "ProxyHandler({})" in probe and "http://127.0.0.1:" in probe


def test_a_unit_reads_back_as_the_plan() -> None:
    plan = plan_of(SEED)
    text = render_unit(plan, ServingPlaces(local={"environments": {"sglang_0_5_10_post1": "/opt/sg"}}))
    command = text.partition("ExecStart=")[2].partition("\nRestart=")[0].replace("\\\n", " ")
    words = [w.replace("${MODEL}", "/m").replace("$$", "$").replace("%%", "%") for w in shlex.split(command)]
    assert words == ["/opt/sg/bin/python", *plan.argv(model="/m", host="127.0.0.1", port="8000")[1:]]
    assert "PYTHONPATH=/opt/sg.patched/sglang_nsa_exclusion_v2" in text and "LimitMEMLOCK=infinity" in text


def test_specifiers_and_variables_of_systemd_are_escaped(tmp_path: Path) -> None:
    text = render_unit(awkward_plan(tmp_path), ServingPlaces())
    command = text.partition("ExecStart=")[2].partition("\nRestart=")[0]
    assert "$$HOME" in command and "${MODEL}/chat template.jinja" in command
    assert 'Environment="TEXT=two words; $(no)"' in text


def test_a_unit_of_a_container_names_its_files() -> None:
    text = render_unit(plan_of(TRTLLM), RECORDED)
    assert "%E/glm-matrix/serve_config.yaml:/glm-matrix/serve_config.yaml:ro" in text
    assert "-p \\\n  127.0.0.1:8000:8000" in text and "ExecStart=/usr/bin/docker" in text


def test_every_form_of_a_container_and_its_launch_write_to_the_same_places() -> None:
    """The script, the compose file and the unit, read back, against the one source that the launch reads, too."""
    plan = plan_of(TRTLLM)
    whole = yaml.safe_load(render_compose(plan))["services"]["engine"]
    asked = {f"{path}:{options}" for path, options in writable.list_tmpfs(plan).items()}
    assert whole["read_only"] is True and set(whole["tmpfs"]) == asked
    assert writable.HOMES.items() <= whole["environment"].items()
    script = render_serving_script(plan, ServingPlaces(), ("launch",), docker=True)
    unit = render_unit(plan, RECORDED)
    for text in (script, unit):
        words = shlex.split(text.replace("\\\n", " "), comments=True)
        assert "--read-only" in words and {words[n + 1] for n, w in enumerate(words) if w == "--tmpfs"} == asked
        assert {f"{name}={value}" for name, value in writable.HOMES.items()} <= set(words)
    for text in (script, unit, render_compose(plan)):
        assert "# root        read-only but for /tmp" in text
    assert "# root" not in render_serving_script(plan_of(SEED), ServingPlaces())


def test_a_release_whose_root_stays_writable_says_why_in_every_form() -> None:
    made = plan_of(TRTLLM)
    release = replace(made.cell.release, writable_root="it links into its package")
    plan = replace(made, cell=replace(made.cell, release=release))
    forms = (
        render_compose(plan),
        render_unit(plan, RECORDED),
        render_serving_script(plan, ServingPlaces(), ("launch",), docker=True),
    )
    for text in forms:
        assert "# root        writable, because it links into its package" in text
        assert "tmpfs" not in text and "read-only" not in text and "read_only: true\n    tmpfs" not in text
        assert "HOME=" not in text


def plan_of_draft(cell_id: str) -> Plan:
    cell = find_cell(MATRIX, cell_id)
    assert cell is not None
    return make_plan(MATRIX, cell)


def test_a_compose_file_mounts_the_cache_that_holds_the_draft() -> None:
    plan = plan_of_draft(DRAFTING[0])
    text = render_compose(plan)
    service = yaml.safe_load(text)["services"]["engine"]
    (mount,) = (v for v in service["volumes"] if isinstance(v, dict) and v["target"] == writable.HUB)
    assert mount["source"].startswith("${HF_HUB_CACHE:?") and mount["read_only"] is True
    assert writable.name_hub(plan).items() <= service["environment"].items()
    assert f"hf download {plan.settings['draft']} --revision {plan.settings['draft_revision']}" in text
    assert "HF_HUB" not in render_compose(plan_of("sm90x8.vllm_0_33_0.glm52_fp8.baseline"))


@pytest.mark.parametrize("cell_id", DRAFTING)
def test_a_unit_says_where_its_draft_is_found(cell_id: str) -> None:
    plan = plan_of_draft(cell_id)
    unit = render_unit(plan, RECORDED)
    assert "Environment=HF_HUB_CACHE=/srv/models/hub\nEnvironment=HF_HUB_OFFLINE=1\n" in unit
    assert f"hf download {plan.settings['draft']}" in unit
    assert "HF_HUB" not in render_unit(plan_of("sm90x8.vllm_0_33_0.glm52_fp8.baseline"), ServingPlaces())


def test_a_unit_of_a_container_mounts_its_draft() -> None:
    made = plan_of_draft(DRAFTING[0])
    kind = replace(made.sections["args"][0], path=("kind",), value="docker")
    plan = replace(made, sections={**made.sections, "launcher": (kind,)})
    words = shlex.split(render_unit(plan, RECORDED).replace("\\\n", " "), comments=True)
    assert f"${{HF_HUB_CACHE}}:{writable.HUB}:ro" in words


def test_what_cannot_be_a_form_is_one_error() -> None:
    with pytest.raises(ConfigError, match="no image"):
        render_compose(plan_of(SEED))
    with pytest.raises(ConfigError, match="runs in the checkout itself"):
        render_unit(plan_of("cpu.llamacpp_2026_10_11549.canary_bf16.baseline"), ServingPlaces())


def test_a_script_of_a_tag_alone_ends_before_it_pulls_or_runs_anything(tmp_path: Path) -> None:
    script = tmp_path / "serve.sh"
    script.write_text(render_serving_script(plan_of(TRTLLM), ServingPlaces(), ("env",), docker=True))
    (docker := tmp_path / "docker").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    docker.chmod(0o755)

    def run(**given: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **given}
        return subprocess.run(["bash", script], env=environment, capture_output=True, text=True, check=False)

    assert (
        refused := run()
    ).returncode == 1 and "Once on this host: glm-matrix image pin trtllm_1_3_0rc26" in refused.stderr
    assert (by_tag := run(IMAGE=TAG)).returncode == 1 and f"{TAG} is a tag" in by_tag.stderr
    assert not (tmp_path / "asked").exists()
    assert run(IMAGE=f"a@{DIGEST}").returncode == 0 and f"a@{DIGEST}" in (tmp_path / "asked").read_text()


def test_every_form_takes_the_recorded_digest_and_none_takes_a_tag() -> None:
    """Also the source's own script, which would start whatever its tag is today."""
    plan, pinned = plan_of(TRTLLM), f"nvcr.io/nvidia/tensorrt-llm/release@{DIGEST}"
    published = make_plan(MATRIX, CELLS[TRTLLM], "published")
    own = render_script(published)
    forms = (
        render_serving_script(plan, RECORDED, docker=True),
        render_compose(plan, RECORDED),
        render_unit(plan, RECORDED),
        refuse_tag_alone(own, published, RECORDED),
    )
    for text in forms:
        assert pinned in keep_words(text) and TAG not in keep_words(text)
    assert "${IMAGE:?no digest of " in keep_words(render_compose(plan)).replace("\n", " ")
    with pytest.raises(ConfigError, match="glm-matrix image pin trtllm_1_3_0rc26"):
        render_unit(plan, ServingPlaces())
    ended = refuse_tag_alone(own, published, ServingPlaces())
    assert TAG in own and ended.index("exit 1") < ended.index("docker run")


def keep_words(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def test_an_image_of_this_host_alone_is_named_by_its_id() -> None:
    own = ServingPlaces(read_images=lambda: {TAG: f"id:{DIGEST}"})
    assert yaml.safe_load(render_compose(plan_of(TRTLLM), own))["services"]["engine"]["image"] == DIGEST


def test_a_release_with_a_digest_asks_for_no_record() -> None:
    def refuse() -> dict[str, str]:
        raise AssertionError("its own digest is known")

    plan = plan_of("sm120x8.sglang_fork_003.glm51_nvfp4_lukealonso.baseline")
    places = ServingPlaces(read_images=refuse)
    assert f"@{plan.cell.release.image_digest}" in render_serving_script(plan, places)
    script = render_script(plan)
    assert refuse_tag_alone(script, plan, places) == script
