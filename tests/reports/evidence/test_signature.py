"""Who vouches for evidence: OpenSSH's answer, whole files only, for our own purpose only."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from matrix.errors import HostError
from reports.evidence.signature import NAMESPACE, NotSigned, sign_evidence, signature_of, verify_evidence

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="SKIP_NO_HW: needs openssh-client")


def make_key(folder: Path, name: str) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return folder / name


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path, "runner")


@pytest.fixture
def allowed(tmp_path: Path, key: Path) -> Path:
    public = key.with_suffix(".pub").read_text()
    (tmp_path / "allowed").write_text(f'runner@lab namespaces="{NAMESPACE}" {public}')
    return tmp_path / "allowed"


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    (tmp_path / "e.jsonl").write_bytes(b'{"kind":"run"}\n')
    return tmp_path / "e.jsonl"


def test_a_signed_file_names_its_signer(evidence: Path, key: Path, allowed: Path) -> None:
    assert sign_evidence(evidence, key) == signature_of(evidence)
    assert verify_evidence(evidence, allowed) == "runner@lab"
    assert sign_evidence(evidence, key).exists()  # again, over the old one


def test_a_file_that_was_changed_since_is_not_signed(evidence: Path, key: Path, allowed: Path) -> None:
    sign_evidence(evidence, key)
    evidence.write_bytes(evidence.read_bytes() + b"\n")
    with pytest.raises(NotSigned, match="not what runner@lab signed"):
        verify_evidence(evidence, allowed)


def test_somebody_else_does_not_count(evidence: Path, allowed: Path, tmp_path: Path) -> None:
    sign_evidence(evidence, make_key(tmp_path, "stranger"))
    with pytest.raises(NotSigned, match="by nobody whom"):
        verify_evidence(evidence, allowed)


def test_a_signature_for_another_purpose_does_not_count(evidence: Path, key: Path, allowed: Path) -> None:
    subprocess.run(["ssh-keygen", "-Y", "sign", "-f", key, "-n", "git", evidence], check=True, capture_output=True)
    with pytest.raises(NotSigned):
        verify_evidence(evidence, allowed)


def test_a_key_that_is_listed_for_something_else_first_counts_by_its_later_line(
    evidence: Path, key: Path, tmp_path: Path
) -> None:
    public, later = key.with_suffix(".pub").read_text(), tmp_path / "later"
    later.write_text(f'git@lab namespaces="git" {public}!no@lab,ci@lab namespaces="{NAMESPACE}" {public}')
    sign_evidence(evidence, key)
    assert verify_evidence(evidence, later) == "ci@lab"
    evidence.write_bytes(b"{}\n")
    with pytest.raises(NotSigned, match="not what git@lab signed"):
        verify_evidence(evidence, later)


@pytest.mark.parametrize("content", [b"", b"no signature\n", b"-----BEGIN SSH SIGNATURE-----\n\n"])
def test_what_is_no_signature_is_told(evidence: Path, allowed: Path, content: bytes) -> None:
    signature_of(evidence).write_bytes(content)
    with pytest.raises(NotSigned):
        verify_evidence(evidence, allowed)


def test_an_absent_signature_names_the_command(evidence: Path, allowed: Path) -> None:
    with pytest.raises(NotSigned, match="glm-matrix sign"):
        verify_evidence(evidence, allowed)


def test_an_absent_list_of_signers_is_told(evidence: Path, key: Path, tmp_path: Path) -> None:
    sign_evidence(evidence, key)
    with pytest.raises(NotSigned, match="allowed signers"):
        verify_evidence(evidence, tmp_path / "nobody")


def test_a_hostile_name_is_a_file_and_no_option(key: Path, allowed: Path, tmp_path: Path) -> None:
    evidence = tmp_path / "-Overify.jsonl"
    evidence.write_bytes(b"{}\n")
    sign_evidence(evidence, key)
    assert verify_evidence(evidence, allowed) == "runner@lab"


def test_a_key_that_is_none_is_the_hosts_trouble(evidence: Path, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="could not be signed"):
        sign_evidence(evidence, tmp_path / "no-key")
