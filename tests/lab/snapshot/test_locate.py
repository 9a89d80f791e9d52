"""Layouts that were not seen before: found where they moved, or unread with what was looked for."""

from __future__ import annotations

import pytest

from lab.snapshot.extract import extract_snapshot
from lab.snapshot.locate import NotFound, Parts, find_definition
from lab.snapshot.source import WheelSource
from lab.snapshot.wheel import Wheel
from matrix.preflight.snapshot import Snapshot
from matrix.preflight.verdict import preflight_launch
from tests.lab.snapshot.toys import SGLANG, VLLM

PARSER = b"class FrontendArgs:\n    pass\n\ndef make_arg_parser(parser):\n    return parser\n"


def moved(files: dict[str, bytes], before: str, after: str) -> dict[str, bytes]:
    """Return the same package with one module elsewhere, and its absolute imports following."""
    old, new = (path.removesuffix(".py").replace("/", ".").encode() for path in (before, after))
    assert before in files
    return {after if path == before else path: text.replace(old, new) for path, text in files.items()}


def snapshot(engine: str, members: dict[str, bytes]) -> Snapshot:
    return extract_snapshot(engine, "9", Wheel(f"{engine}-9.whl", "0" * 64, members))


def test_the_parser_is_found_in_a_folder_that_no_release_had_before() -> None:
    path = next(p for p in VLLM if b"def make_arg_parser" in VLLM[p])
    elsewhere = snapshot("vllm", moved(VLLM, path, "vllm/entrypoints/elsewhere/new_args.py"))
    assert elsewhere.flags == snapshot("vllm", VLLM).flags
    assert elsewhere.unread.keys() <= {"chosen", "chosen moe"}, "the toy has no backends"


def test_another_program_s_parser_of_the_same_name_is_not_taken() -> None:
    batch = b"def make_arg_parser(parser):\n    parser.add_argument('--batch')\n"
    found = find_definition(
        WheelSource({"vllm/entrypoints/a_batch.py": batch, "vllm/entrypoints/serve/args.py": PARSER}),
        "make_arg_parser",
        prefix="vllm/entrypoints/",
        needs=r"class \w*FrontendArgs",
    )
    assert found.name == "vllm.entrypoints.serve.args"


def test_of_several_the_one_that_others_import_counts() -> None:
    files = {
        "sglang/srt/a/args.py": b"class ServerArgs:\n    pass\n",
        "sglang/srt/b/args.py": b"class ServerArgs:\n    pass\n",
        "sglang/srt/launch.py": b"from sglang.srt.b.args import ServerArgs\n",
    }
    assert find_definition(WheelSource(files), "ServerArgs", prefix="sglang/srt/").name == "sglang.srt.b.args"


def test_what_is_nowhere_is_named() -> None:
    with pytest.raises(NotFound, match=r"no module under vllm/ defines make_arg_parser"):
        find_definition(WheelSource({"vllm/x.py": b"make_arg_parser = 1\n"}), "make_arg_parser", prefix="vllm/")


def test_a_part_that_is_empty_is_unread_and_the_rest_is_read() -> None:
    parts = Parts()
    parts.add("env", frozenset)
    parts.add("architectures", lambda: {"A"})
    assert parts.read == {"architectures": {"A"}}
    assert "env" in parts.unread


@pytest.mark.parametrize(("engine", "files"), [("vllm", VLLM), ("sglang", SGLANG)])
def test_a_release_whose_parser_is_nowhere_keeps_its_other_facts_and_refuses_no_flag(
    engine: str, files: dict[str, bytes]
) -> None:
    words = (b"def make_arg_parser", b"class ServerArgs")
    hidden = snapshot(engine, {p: t for p, t in files.items() if not any(word in t for word in words)})
    assert hidden.architectures and "flags" in hidden.unread
    report = preflight_launch(["--no-such-flag"], {}, hidden)
    assert (report.verdict, report.kinds()) == ("unknown", ("no_flags",))
    assert "no module under" in report.remarks[0].message


def test_a_variable_is_no_dead_one_where_variables_were_not_read() -> None:
    quiet = snapshot("vllm", {p: t for p, t in VLLM.items() if b"environ" not in t})
    assert "env" in quiet.unread
    assert "env_unread" in preflight_launch([], {"VLLM_X": "1"}, quiet).kinds("unknown")
