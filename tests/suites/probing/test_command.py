"""A probe of servers that are right, wrong, limited, strict and hidden, through the whole command on the stub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from fixtures.banks.glm5 import Glm5Bank
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from fixtures.launch.attached.attachment import KEY_VARIABLE
from matrix.errors import EngineNotReady, HostError
from matrix.yaml.load import load_matrix
from suites.probing import command
from suites.probing.asking import Asker
from suites.probing.identify import ServedModel
from suites.probing.result import Probe, name_next
from tests.faults.stub.claims import HONEST
from tests.faults.stub.engine import StubEngine

MATRIX = load_matrix()
CANARY = MATRIX.checkpoints["canary_bf16"]


@pytest.fixture
def stub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubEngine]:
    with StubEngine(dialect="vllm", **getattr(request, "param", {})) as made:
        bank = made.learn(Glm5Bank())
        monkeypatch.setattr(command, "choose_bank", lambda served: bank)
        monkeypatch.setenv(KEY_VARIABLE, made.api_key)
        yield made


def probe(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = command.main([*words, "--needles", "300"])
    return code, capsys.readouterr().out


def test_a_right_server_is_right_so_far_and_no_evidence(stub: StubEngine, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = probe(capsys, stub.base_url + "/v1")
    assert code == 0 and "right so far: 29 of 29 checks hold. A look, and no evidence" in said
    assert "this is a stub engine" in said and stub.api_key not in said


@pytest.mark.parametrize("stub", [{"defect": "forgets_needle"}], indirect=True)
def test_a_wrong_answer_is_shown_with_its_check_and_item(stub: StubEngine, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = probe(capsys, stub.base_url)
    assert code == 1 and "WRONG  needles" in said and "needle.found (glm5.needle" in said and "not in the reply" in said


def test_a_model_that_does_not_answer_is_told_beside_those_that_are_listed(
    stub: StubEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ask_all", Mock(side_effect=HostError("HTTP 404: name the model with --model")))
    assert command.main([stub.base_url, "--model", "another"]) == 2
    assert "with --model. Asked as 'another'; it lists '" in capsys.readouterr().err


def test_a_slow_server_is_no_wrong_one(
    stub: StubEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt of 3,000 tokens takes a CPU longer than a minute, and its owner was told WRONG."""
    ask, needles = Asker.ask, [0]

    def late(self: Asker, item: Item, **more: Any) -> Reply:
        if "needle" in item.id:
            needles[0] += 1
            raise EngineNotReady("silent for 60 s inside a request")
        return ask(self, item, **more)

    monkeypatch.setattr(Asker, "ask", late)
    code, said = probe(capsys, stub.base_url)
    assert needles[0] and code == 3 and "late   needles" in said and "WRONG" not in said
    assert "no reply in time" in said and "--patience" in said
    code, said = probe(capsys, stub.base_url, "--json")
    assert code == 3 and json.loads(said)["late"] and not json.loads(said)["no_reply"]


def test_a_known_model_of_an_unknown_release_is_told_how_to_name_its_cell(stub: StubEngine) -> None:
    served = ServedModel(told=Mock(), model="m", engine=MATRIX.engines["llamacpp"], checkpoints=(CANARY,))
    assert name_next(Probe(url="http://h:1", served=served)).endswith('list -m "llamacpp and canary_bf16"')


def test_json_holds_what_the_text_says(stub: StubEngine, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = probe(capsys, stub.base_url, "--json")
    document: dict[str, Any] = json.loads(said)
    assert (code, document["exit_code"], document["stub"]) == (0, 0, True)
    assert {check["ok"] for check in document["checks"]} == {True} and document["tokens"]["prompt"] > 0


def test_without_questions_no_token_is_spent(stub: StubEngine, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = probe(capsys, stub.base_url, "--no-questions")
    assert code == 0 and "checks" not in said and "engine" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["http://127.0.0.1:1"], "oes it run, and on that port"),
        (["ftp://x"], "expected http://HOST:PORT"),
        (["http://u:p@x"], "must not hold a password"),
        (["http://127.0.0.1:1", "--header", "no colon"], "expected 'Name: value'"),
    ],
)
def test_what_cannot_be_reached_says_the_next_step(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(words) == 2 and why in capsys.readouterr().err


@pytest.mark.parametrize("length", ["-5", "0", "1e3", "9" * 40, "\u0663"])
def test_a_length_that_is_none_is_refused_before_anything_is_asked(
    length: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(["http://127.0.0.1:1", f"--needles={length}"])
    assert stopped.value.code == 2 and "number of tokens" in capsys.readouterr().err


def test_an_error_names_our_options() -> None:
    said = command.name_our_options("--endpoint 'x': expected; --endpoint-ca FILE or --endpoint-insecure-tls")
    assert said == "URL 'x': expected; --ca FILE or --insecure-tls"


def test_a_wrong_key_is_told_and_not_shown(
    stub: StubEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-wrong-0123456789abcdef")
    assert command.main([stub.base_url]) == 2
    said = capsys.readouterr().err
    assert KEY_VARIABLE in said and "sk-wrong" not in said


@pytest.mark.parametrize("stub", [{"claims": replace(HONEST, version="0.33.0")}], indirect=True)
def test_the_release_on_the_axes_is_named(stub: StubEngine, capsys: pytest.CaptureFixture[str]) -> None:
    _, said = probe(capsys, stub.base_url, "--no-questions")
    assert "vllm_0_33_0 (on the axes)" in said
