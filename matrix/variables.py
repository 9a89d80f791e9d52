"""Every environment variable that this project reads, by name: what it does and what holds without it.

Modules take the names from here, docs/reference/variables.md is made from here, and a test holds the code to it.
Variables that an engine reads are not here: they stand in its plan (`glm-matrix explain CELL`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Whose = Literal["ours", "a secret of ours", "somebody else's", "between our processes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable. `whose` says who defines what it means."""

    name: str
    whose: Whose
    does: str
    default: str  # what holds where it is not set


MODELS: Final = Variable(
    name="GLM_MATRIX_MODELS",
    whose="ours",
    does="folders of checkpoints, separated by `:`; each holds a folder per checkpoint id",
    default="`roots:` of matrix.local.yaml, then the Hugging Face cache",
)
VENVS: Final = Variable(
    name="GLM_MATRIX_VENVS",
    whose="ours",
    does="where engines' environments are built and kept",
    default="$XDG_CACHE_HOME/glm-matrix/venvs",
)
CACHE: Final = Variable(
    name="GLM_MATRIX_CACHE",
    whose="ours",
    does="where weights that this project derives and converts are kept",
    default="`.cache` of the checkout; $XDG_CACHE_HOME/glm-matrix where the checkout cannot be written",
)
NO_YAML_CACHE: Final = Variable(
    name="GLM_MATRIX_NO_YAML_CACHE",
    whose="ours",
    does="set to anything: each start parses all YAML files, and keeps nothing of them",
    default="what a file became is kept by its digest in $XDG_CACHE_HOME/glm-matrix/yaml",
)
WHEELS: Final = Variable(
    name="GLM_MATRIX_WHEELS",
    whose="ours",
    does="a folder of wheels: environments are built from it alone, without the network",
    default="the package index of pip or uv",
)
LOCKS: Final = Variable(
    name="GLM_MATRIX_LOCKS",
    whose="ours",
    does="where GPUs and ports are leased; all users of a host must name the same directory",
    default="/tmp/glm-matrix-locks",  # noqa: S108  words for a person; fixtures.host.locks says why it is safe
)
RECORDS: Final = Variable(
    name="GLM_MATRIX_RECORDS",
    whose="ours",
    does="where the engines that were started are written down, for `glm-matrix reap`",
    default="glm-matrix-UID/records in the temporary directory",
)
DOCKER_ALLOW: Final = Variable(
    name="GLM_MATRIX_DOCKER_ALLOW",
    whose="ours",
    does="what a container may have: `privileged`, `host-network`, `writable-root=RELEASE`, separated by `,`",
    default="nothing",
)
IMAGE_LOCK: Final = Variable(
    name="GLM_MATRIX_IMAGE_LOCK",
    whose="ours",
    does="the file in which `glm-matrix image pin` records the digest of an image tag",
    default="$XDG_STATE_HOME/glm-matrix/images.json",
)
ENDPOINT_KEY: Final = Variable(
    name="GLM_MATRIX_ENDPOINT_KEY",
    whose="a secret of ours",
    does="the API key of a server that `--endpoint` attaches to",
    default="no key is sent",
)
REPRO_COMMAND: Final = Variable(
    name="GLM_MATRIX",
    whose="ours",
    does="the glm-matrix command that a folder of `repro` judges replies with",
    default="glm-matrix on PATH",
)
OPENAI_KEY: Final = Variable(
    name="OPENAI_API_KEY",
    whose="a secret of ours",
    does="the API key of the server that `repro` asks again",
    default="no key is sent",
)
LAUNCH: Final = Variable(
    name="GLM_MATRIX_LAUNCH",
    whose="between our processes",
    does="the id of a launch, in the environment of its engine: whoever holds it belongs to that launch",
    default="not set outside an engine",
)
LOAD_KEY: Final = Variable(
    name="LOAD_API_KEY",
    whose="a secret of ours",
    does="the API key that a load process sends; `glm-matrix load` reads it where GLM_MATRIX_ENDPOINT_KEY is not set",
    default="no key is sent",
)
LOAD_ACCESS: Final = Variable(
    name="LOAD_ACCESS",
    whose="between our processes",
    does="headers and TLS options for the load process, as JSON",
    default="none",
)
LLAMA_KEY: Final = Variable(
    name="LLAMA_API_KEY",
    whose="somebody else's",
    does="the API key that `glm-matrix llamacpp` asks for (llama-server's own name)",
    default="no key is asked for, unless --api-key-env names another variable",
)
HF_TOKEN: Final = Variable(
    name="HF_TOKEN",
    whose="somebody else's",
    does="sent to Hugging Face when a checkpoint is judged by its address",
    default="no token is sent: public repositories only",
)
HF_HUB_CACHE: Final = Variable(
    name="HF_HUB_CACHE",
    whose="somebody else's",
    does="where Hugging Face keeps downloads: checkpoints are found there",
    default="$HF_HOME/hub",
)
HF_HOME: Final = Variable(
    name="HF_HOME", whose="somebody else's", does="the folder of Hugging Face", default="$XDG_CACHE_HOME/huggingface"
)
XDG_CACHE_HOME: Final = Variable(
    name="XDG_CACHE_HOME", whose="somebody else's", does="the folder of caches", default="~/.cache"
)
XDG_STATE_HOME: Final = Variable(
    name="XDG_STATE_HOME", whose="somebody else's", does="the folder of state that is kept", default="~/.local/state"
)
TMPDIR: Final = Variable(
    name="TMPDIR",
    whose="somebody else's",
    does="the temporary directory: configs laid over a checkpoint, records of launches, and what has no other place",
    default="/tmp",  # noqa: S108  words for a person
)
DOCKER_HOST: Final = Variable(
    name="DOCKER_HOST",
    whose="somebody else's",
    does="the Docker daemon; it must be on this host",
    default="unix:///var/run/docker.sock",
)
PATH: Final = Variable(
    name="PATH",
    whose="somebody else's",
    does="where programs are found; an engine's environment is put in front of it",
    default="the system's own",
)
CI: Final = Variable(
    name="CI", whose="somebody else's", does="set by CI: no progress lines are drawn", default="a terminal shows them"
)

PYTEST_ADDOPTS: Final = Variable(
    name="PYTEST_ADDOPTS",
    whose="somebody else's",
    does="options that pytest adds to its command line; a run records them with its own",
    default="none",
)
PYTEST_CURRENT_TEST: Final = Variable(
    name="PYTEST_CURRENT_TEST",
    whose="somebody else's",
    does="set by pytest while a test runs: a run inside that test leaves its items to the garbage collector",
    default="what was collected is kept until the process ends",
)
VARIABLES: Final[Mapping[str, Variable]] = {
    v.name: v
    for v in (
        MODELS,
        VENVS,
        CACHE,
        NO_YAML_CACHE,
        WHEELS,
        LOCKS,
        RECORDS,
        DOCKER_ALLOW,
        IMAGE_LOCK,
        ENDPOINT_KEY,
        REPRO_COMMAND,
        OPENAI_KEY,
        LAUNCH,
        LOAD_KEY,
        LOAD_ACCESS,
        LLAMA_KEY,
        HF_TOKEN,
        HF_HUB_CACHE,
        HF_HOME,
        XDG_CACHE_HOME,
        XDG_STATE_HOME,
        TMPDIR,
        DOCKER_HOST,
        PATH,
        CI,
        PYTEST_ADDOPTS,
        PYTEST_CURRENT_TEST,
    )
}
