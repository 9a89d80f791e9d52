"""Signs and verifies evidence files with OpenSSH (`ssh-keygen -Y`), without cryptography of our own.

The signature lies beside the file (`evidence.jsonl.sig`) and covers its bytes. These name every kept reply by its
sha256, so one signature holds for all of it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from matrix.errors import HostError

NAMESPACE: Final = "glm-matrix-evidence"  # a signature made for something else does not count here
SUFFIX: Final = ".sig"
WITHIN_S: Final = 60.0
SHOWN_CHARS: Final = 200
MOST_SIGNERS: Final = 100  # that are tried, where the first line of a key is for something else


class NotSigned(ValueError):
    """No allowed signer's signature covers this file; the text names the reason."""


def sign_evidence(path: Path, key: Path) -> Path:
    """Write the signature of a file, made with a private key, or with a public one whose private half an agent holds.

    Raises:
        HostError: ssh-keygen is not installed, or refuses the key.
    """
    target = signature_of(path)
    target.unlink(missing_ok=True)
    done = _run_ssh_keygen("sign", "-f", str(key), "-n", NAMESPACE, str(path.absolute()))
    if done.returncode or not target.is_file():
        raise HostError(f"{path} could not be signed with {key}: {_read_output(done)}")
    return target


def verify_evidence(path: Path, allowed: Path) -> str:
    """Return who signed a file, among those that an allowed signers file (ssh-keygen(1)) lists.

    Raises:
        NotSigned: nobody of them, or the file is not the one that was signed.
        HostError: ssh-keygen is not installed.
    """
    signature = signature_of(path)
    if not allowed.is_file():
        raise NotSigned(f"{allowed} cannot be read: it has to list the allowed signers, one a line")
    if not signature.is_file():
        raise NotSigned(f"there is no {signature.name}: glm-matrix sign {path} --key KEY")
    found = _run_ssh_keygen("find-principals", "-s", str(signature.absolute()), "-f", str(allowed.absolute()))
    if found.returncode:
        raise NotSigned(f"{signature.name} is by nobody whom {allowed} lists ({_read_output(found)})")
    signers = _split_names(found.stdout.decode("utf-8", "replace").partition("\n")[0])
    said: dict[str, str] = {}
    # ssh-keygen names the first line of that key alone, whatever that line is for; a later one may be for evidence.
    for signer in dict.fromkeys([*signers, *_list_principals(allowed)]):
        done = _verify_signer(path, signature, allowed, signer)
        if not done.returncode:
            return signer
        said[signer] = _read_output(done)
    signer = next(iter(said), "nobody")
    raise NotSigned(f"it is not what {signer} signed, or not what they may sign ({said.get(signer, 'no name')})")


def _verify_signer(path: Path, signature: Path, allowed: Path, signer: str) -> subprocess.CompletedProcess[bytes]:
    words = ("-f", str(allowed.absolute()), "-I", signer, "-n", NAMESPACE, "-s", str(signature.absolute()))
    return _run_ssh_keygen("verify", *words, stdin=path)


def _list_principals(allowed: Path) -> list[str]:
    """List the names of an allowed signers file, the first MOST_SIGNERS of them."""
    lines = allowed.read_text(encoding="utf-8", errors="replace").splitlines()
    names = (name for line in lines if line[:1] not in ("", "#") for name in _split_names(line.split(None, 1)[0]))
    return list(dict.fromkeys(names))[:MOST_SIGNERS]


def _split_names(principals: str) -> list[str]:
    """Split `a@x,!b@x` into those who are meant."""
    return [name for name in principals.strip().strip('"').split(",") if name and not name.startswith("!")]


def signature_of(path: Path) -> Path:
    """Return the path of a file's signature."""
    return path.with_name(path.name + SUFFIX)


def _run_ssh_keygen(verb: str, *words: str, stdin: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = ["ssh-keygen", "-Y", verb, *words]
    try:
        if stdin is None:
            return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=WITHIN_S)
        with stdin.open("rb") as file:
            return subprocess.run(command, stdin=file, capture_output=True, check=False, timeout=WITHIN_S)
    except FileNotFoundError:
        raise HostError("ssh-keygen is not installed: apt-get install openssh-client") from None
    except subprocess.TimeoutExpired:
        raise HostError(
            f"ssh-keygen -Y {verb} did not end within {WITHIN_S:g} s: does the key ask for a word?"
        ) from None


def _read_output(done: subprocess.CompletedProcess[bytes]) -> str:
    text = " ".join((done.stderr + done.stdout).decode("utf-8", "replace").split())
    return text[:SHOWN_CHARS] or f"ssh-keygen exited with {done.returncode}"
