"""What people type or hand over wrongly: one error, its root cause first, the nearest word, and no traceback.

A row is a kind of mistake. `says` stands in the first problem; {tmp} is a folder that holds what `files` writes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cli.program import main
from matrix.checkout import CHECKOUT
from matrix.planning.expand import expand_matrix
from matrix.planning.select import suggest_cell
from matrix.yaml.load import digest_of, load_matrix
from tests.matrix import world

POLICY = (CHECKOUT / "ci" / "gates" / "try.yaml").read_text()
CELL = "cpu.llamacpp_2026_10_11549.canary_bf16.baseline"
GATE = "gate --policy {tmp}/policy.yaml --evidence {tmp}/none.jsonl --junit {tmp}/out.xml"
LAUNCH = "python -m sglang.launch_server --model-path zai-org/GLM-5.1 --tp 4"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    argv: str
    says: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)


def edit_policy(old: str, new: str) -> dict[str, str]:
    assert old in POLICY
    return {"policy.yaml": POLICY.replace(old, new)}


MISTAKES = {
    "verb": Mistake(argv="gaet", says="no such verb 'gaet'; did you mean 'gate'?"),
    "mark": Mistake(argv="list -m sm12O", says="no such marker 'sm12O'; did you mean 'sm120'?"),
    "fact of cell()": Mistake(
        argv="list -m \"cell(feature='mpt')\"", says="no cell has feature 'mpt'; did you mean 'mtp'?"
    ),
    "key of cell()": Mistake(argv="list -m \"cell(enginee='vllm')\"", says="has no 'enginee'; did you mean 'engine'?"),
    "half an expression": Mistake(argv="list -m 'cpu and ('", says="cannot be parsed"),
    "release in a glob": Mistake(argv="list --cells cpu.lama*", says="no cell of cpu has the release 'lama*'"),
    "rig of an id": Mistake(
        argv=f"explain {CELL.replace('cpu', 'cpi')}", says="no cell has the rig 'cpi'; did you mean 'cpu'?"
    ),
    "checkpoint of an id": Mistake(
        argv=f"why-not {CELL.replace('bf16', 'bf61')}", says="the checkpoint 'canary_bf61'; did you mean 'canary_bf16'?"
    ),
    "features of an id": Mistake(
        argv=f"show {CELL.replace('baseline', 'mpt')}", says="has the feature set 'mpt'; did you mean 'mtp'?"
    ),
    "half an id": Mistake(argv="explain cpu.llamacpp_2026_10_11549", says="an id is RIG.RELEASE.CHECKPOINT.FEATURES"),
    "rig": Mistake(argv="doctor --rig sm12x4", says="no rig 'sm12x4'; did you mean 'sm120x4'?"),
    "GPU": Mistake(argv="recommend --gpus '4x RTX PRO 600'", says="did you mean 'RTX PRO 6000'?"),
    "no policy": Mistake(argv=GATE, says="policy.yaml: cannot be read: No such file or directory"),
    "policy is a folder": Mistake(argv=GATE.replace("/policy.yaml", ""), says="cannot be read: it is a directory"),
    "policy in UTF-16": Mistake(
        argv=GATE, files={"policy.yaml": POLICY.encode("utf-16")}, says="it is UTF-16; save the file as UTF-8"
    ),
    "key of a policy": Mistake(
        argv=GATE,
        files=edit_policy("max_age_h", "max_age_hours"),
        says="policy.yaml:7 max_age_hours: unknown key 'max_age_hours'; did you mean 'max_age_h'?",
    ),
    "depth of a policy": Mistake(
        argv=GATE, files=edit_policy("depth: first", "depth: fist"), says="did you mean 'first'?"
    ),
    "suite of a policy": Mistake(
        argv=GATE, files=edit_policy("coherence", "coherenc"), says="no suite is 'coherenc'; did you mean 'coherence'?"
    ),
    "glob of a policy, in a file from Windows": Mistake(
        argv=GATE,
        files={"policy.yaml": POLICY.replace("canary_bf16", "canary_bf61").replace("\n", "\r\n"), "none.jsonl": ""},
        says="policy.yaml:4 require.0.glob",
    ),
    "no evidence": Mistake(argv="table --evidence {tmp}/none.jsonl", says="none.jsonl: cannot be read: No such file"),
    "JUnit file is missing": Mistake(argv="junit verify {tmp}/none.xml", says="none.xml: cannot be read: No such file"),
    "a folder of the path is a file": Mistake(
        argv="diff {tmp}/file/a.jsonl {tmp}/file/b.jsonl", files={"file": ""}, says="cannot be read: Not a directory"
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_error_with_its_cause_and_the_nearest_word(
    mistake: Mistake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in mistake.files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    words = [w.replace("{tmp}", str(tmp_path)) for w in shlex.split(mistake.argv)]
    assert main(words) == 2
    said = capsys.readouterr()
    assert mistake.says in " ".join(said.err.splitlines()[:2]), said.err
    assert "Traceback" not in said.err + said.out and not said.out


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        ("html --evidence {tmp}/try.jsonl --out {tmp}/file/index.html", "file: cannot be used: "),
        ("certify {tmp}/try.jsonl --out {tmp}/file/certificates", "file/certificates: cannot be used: Not a directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(
    argv: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full or read-only disk is no fault of the program: no traceback."""
    monkeypatch.setattr("reports.__main__._judging", lambda _: (tmp_path / "file" / "x").write_text(""))
    monkeypatch.setattr("reports.certify.command.run_certify", lambda _: (tmp_path / "file" / "certificates").mkdir())
    (tmp_path / "file").write_text("")
    assert main([w.replace("{tmp}", str(tmp_path)) for w in argv.split()]) == 2
    assert what.replace("file: ", "file/x: ") in capsys.readouterr().err


WORDS = "python -m sglang.launch_server --model-path zai-org/GLM-5.1", "--tp 3", "--kv-cache-dtype fp9 --no-such-flag"
BROKEN = " \\\n  ".join(WORDS)
IMAGE = "    image: lmsysorg/sglang:v0.5.17\n"
HANDED_OVER = {  # how a line is handed over, each with the same mistakes in it
    "serve.sh": "#!/bin/bash\nset -eu\nexport CUDA_VISIBLE_DEVICES=0,1,2\nTP=3\n"
    + BROKEN.replace("--tp 3", "--tp $TP")
    + "\n",
    "compose.yaml": f"services:\n  engine:\n{IMAGE}    command: >-\n      {WORDS[0]}\n      {WORDS[1]} {WORDS[2]}\n",
    "pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: engine}\nspec:\n  containers:\n  - name: engine\n"
    f"{IMAGE}    command: [bash, -c]\n    args:\n    - |\n"
    + "".join(f"      {line}\n" for line in BROKEN.splitlines()),
    "engine.service": f"[Service]\nEnvironment=CUDA_VISIBLE_DEVICES=0,1,2\nExecStart=/usr/bin/{BROKEN}\n",
}


@pytest.mark.parametrize("name", HANDED_OVER)
def test_line_endings_of_windows_change_no_finding(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, said, codes = tmp_path / name, [], []
    for ending in ("\n", "\r\n"):
        path.write_bytes(HANDED_OVER[name].replace("\n", ending).encode())
        codes.append(main(["check", "--rig", "sm120x4", "--release", "sglang==0.5.17", str(path)]))
        said.append(capsys.readouterr())
    assert codes == [1, 1], said[0]
    assert all(word in said[0].out for word in ("--no-such-flag", "fp9")), said[0].out
    # A shell script with such endings does not start, which is a finding of its own; the others stay what they were.
    told, count = re.subn(r"\n  WRONG  \\r  \(\S*serve\.sh:1\)\n(?:    .*\n)+", "", said[1].out)
    assert count == (name == "serve.sh"), said[1].out
    assert said[0].out == told and "\r" not in told


def test_axes_with_the_line_endings_of_windows_are_the_same_matrix(tmp_path: Path) -> None:
    plain, other = (world.write(tmp_path / folder) for folder in ("plain", "windows"))
    for path in other.rglob("*.yaml"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert digest_of(plain) == digest_of(other), "or the gate calls every run of the one another matrix's"
    expanded = [expand_matrix(load_matrix(root)) for root in (plain, other)]
    assert [c.facts for c in expanded[0].runnable] == [c.facts for c in expanded[1].runnable]
    assert [e.reason for e in expanded[0].excluded.values()] == [e.reason for e in expanded[1].excluded.values()]


def test_a_glob_names_its_first_part_that_no_cell_has() -> None:
    ids = ["cpu.a_1.x.baseline", "cpu.a_1.x.mtp", "sm90.b_2.y.baseline"]
    assert suggest_cell("cpu.b_2.x.*", ids) == ": no cell of cpu has the release 'b_2'; valid: a_1"
    assert suggest_cell("*.b_2.x.mpt", ids).startswith("; "), "a wildcard reaches beyond its part"
    assert "e.g. cpu.a_1.x.baseline; all of them: 'cpu.*'" in suggest_cell("cpu", ids)
