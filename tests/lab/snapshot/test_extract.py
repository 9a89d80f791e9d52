"""What is read out of a wheel's text: two invented engines, and one real wheel against its committed snapshot."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import pytest

from lab.snapshot.__main__ import main
from lab.snapshot.extract import extract_snapshot, own_llamacpp
from lab.snapshot.wheel import Wheel, read_wheel
from matrix.errors import HostError
from matrix.preflight.snapshot import Flag, Snapshot, format_snapshot, parse_snapshot, snapshot_for
from tests.lab.snapshot.toys import SGLANG, VLLM
from tests.lab.snapshot.wheels import sglang_0_5_10_wheel

UNDER_A_MINUTE_S = 60  # the promise of `glm-matrix snapshot`


def snapshot(engine: str, members: dict[str, bytes]) -> Snapshot:
    return extract_snapshot(engine, "9", Wheel(f"{engine}-9.whl", "0" * 64, members))


TOY_SGLANG = snapshot("sglang", SGLANG)
TOY_VLLM = snapshot("vllm", VLLM)


def test_sglang_annotated_and_written_flags_are_read() -> None:
    assert {name: TOY_SGLANG.options[name] for name in EXPECTED_SGLANG} == EXPECTED_SGLANG
    assert set(TOY_SGLANG.options) == {
        *EXPECTED_SGLANG,
        "-h",
        "--help",
        "--model",
        "--no-both",
        "--computed",
        "--half",
        "--note",
    }


EXPECTED_SGLANG = {
    "--model-path": Flag(options=("--model-path", "--model"), dest="model_path", required=True),
    "--page-size": Flag(options=("--page-size",), dest="page_size", type="int", default="None"),
    "--load": Flag(options=("--load",), dest="load", choices=("one", "two", "three"), default="'one'"),
    "--level": Flag(options=("--level",), dest="level", choices=("a", "b"), default="'a'"),
    "--tags": Flag(options=("--tags",), dest="tags", type="int", nargs="+", default="None"),
    "--fast": Flag(options=("--fast",), dest="fast", action="store_true", default="False"),
    "--both": Flag(options=("--both", "--no-both"), dest="both", action="bool_optional", default="True"),
    "--parsed": Flag(options=("--parsed",), dest="parsed", type="json", default="'{}'"),
    "--backend": Flag(options=("--backend",), dest="backend", choices=("b1", "b2"), default="'one'"),
    "--mode": Flag(options=("--mode",), dest="mode", choices=("none", "all")),
    "--tool-call-parser": Flag(
        options=("--tool-call-parser",), dest="tool_call_parser", choices=("auto", "glm45", "glm47")
    ),
    "--old": Flag(options=("--old",), dest="old", action="store_true", deprecated="use --new"),
    "--gone": Flag(options=("--gone",), dest="gone", action="error", deprecated="use --new"),
    "--moved": Flag(options=("--moved",), dest="to", type="int", deprecated="use --to"),
}


def test_choices_that_are_computed_are_unknown_and_never_guessed() -> None:
    for name in ("--computed", "--half"):
        flag = TOY_SGLANG.options[name]
        assert (flag.choices, flag.choices_unknown) == (None, True)
    assert TOY_SGLANG.options["--note"].deprecated == "Deprecated: has no use."


def test_a_variable_that_is_only_set_or_only_in_tests_is_not_read() -> None:
    assert TOY_SGLANG.env == {
        "SGLANG_DEFINED",
        "SGLANG_GET",
        "SGLANG_ENV_GET",
        "SGLANG_ITEM",
        "SGLANG_IN",
        "SGLANG_HELPER",
        "SGLANG_NEW",
        "SGLANG_OLD",
    }
    assert TOY_SGLANG.env_deprecated == {"SGLANG_OLD": "use SGLANG_NEW"}


def test_architectures_parsers_and_pins_are_read() -> None:
    assert TOY_SGLANG.architectures == {"GlmMoeDsaForCausalLM", "Other", "Single", "WithByteOrderMark"}
    assert TOY_SGLANG.parsers["tool_call"] == ("auto", "glm45", "glm47")
    assert TOY_SGLANG.pins == {"torch": ">=2", "transformers": "==5.3.0"}


def test_vllm_flags_come_out_of_its_config_classes() -> None:
    options = TOY_VLLM.options
    assert options["--kv-cache-dtype"].choices == ("auto", "fp8"), "a removed choice is gone"
    assert (options["--open-dtype"].choices, options["--open-dtype"].listed) == (None, ("auto", "fp8", "gone"))
    assert set(options["--enable-prefix-caching"].options) == {
        "--enable-prefix-caching",
        "--no-enable-prefix-caching",
        "--disable-prefix-caching",
    }
    assert options["--max-model-len"].type == "human_int"
    assert options["--backend"].values == ("FLASH", "SPARSE")
    assert options["--moe-backend"].lowers
    assert options["-sc"].keys == {"model": None, "method": ("mtp", "auto", "fp8")}
    assert options["--origins"] == Flag(options=("--origins",), dest="origins", type="json", default="list()")
    assert options["--middleware"].action == "append"
    assert options["--tool-call-parser"].values == ("glm47",)
    assert options["--disable-log"].deprecated == "no use"
    assert [flag.dest for flag in TOY_VLLM.positionals] == ["model_tag"]
    assert TOY_VLLM.architectures == {"GlmMoeDsaForCausalLM", "Other"}
    assert TOY_VLLM.env == {"VLLM_TABLE"}


def test_a_snapshot_survives_its_file() -> None:
    assert parse_snapshot(format_snapshot(TOY_VLLM)) == TOY_VLLM
    assert parse_snapshot(format_snapshot(TOY_SGLANG)) == TOY_SGLANG


def test_a_layout_that_is_not_known_is_unread_and_says_what_was_looked_for() -> None:
    empty = snapshot("vllm", {"vllm-9.dist-info/METADATA": b""})
    assert not empty.flags and "no module under vllm/entrypoints/ defines make_arg_parser" in empty.unread["flags"]
    assert {"flags", "env", "architectures", "parsers tool_call"} <= empty.unread.keys()
    with pytest.raises(HostError, match="did you mean 'sglang'"):
        snapshot("sglanf", SGLANG)


def test_the_command_writes_a_file_from_a_wheel_on_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel, out = tmp_path / "vllm-9-py3-none-any.whl", tmp_path / "out.json"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in VLLM.items():
            archive.writestr(name, text)
        archive.writestr("vllm/big.so", b"\0" * 10)
    assert main(["vllm==9", "--wheel", str(wheel), "--out", str(out)]) == 0
    assert "flags" in capsys.readouterr().out
    assert parse_snapshot(out.read_text()).flags == TOY_VLLM.flags
    assert "vllm/big.so" not in read_wheel(wheel).members, "only text is read"


def test_a_request_that_makes_no_sense_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["vllm"])
    assert "expected NAME==VERSION, got 'vllm'" in capsys.readouterr().err


def test_the_committed_llama_cpp_snapshot_is_our_own_parser_today() -> None:
    """When this fails: glm-matrix snapshot llamacpp==2026.10.11549"""
    assert own_llamacpp("2026.10.11549") == snapshot_for("llamacpp_2026_10_11549")


@pytest.mark.network
def test_the_committed_snapshot_of_sglang_0_5_10_is_what_its_wheel_gives_today() -> None:
    wheel = sglang_0_5_10_wheel()
    started = time.process_time()
    found = extract_snapshot("sglang", "0.5.10.post1", read_wheel(wheel))
    committed = snapshot_for("sglang_0_5_10_post1")
    assert committed is not None and format_snapshot(found) == format_snapshot(committed)
    assert time.process_time() - started < UNDER_A_MINUTE_S
