"""Where things lie on the machine that serves. Facts of a host are arguments: the matrix looks at none."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from matrix import variables
from matrix.planning.images import explain_tag_alone, name_content
from matrix.planning.plan import Plan

MODELS: Final = variables.MODELS.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPlaces:
    """`local` is the content of matrix.local.yaml; `checkout` the folder of this project.

    `read_images` returns this host's records of images (tag -> digest): asked only for a plan that runs in one.
    """

    checkout: str = "."
    local: Mapping[str, Any] = field(default_factory=dict)
    read_images: Callable[[], Mapping[str, str]] = dict

    def model_of(self, plan: Plan) -> str:
        """Return the directory of weights that is known, or an empty word."""
        checkpoint = plan.cell.checkpoint
        named = self.local.get("models", {}).get(checkpoint.id)
        return str(named) if named else ""

    def venv_of(self, plan: Plan) -> str:
        """Return the environment that the user named for the release, or an empty word."""
        return str(self.local.get("environments", {}).get(plan.cell.release.id, ""))

    def image_of(self, plan: Plan) -> str:
        """Return the image by content: of the release's digest, or of this host's record; else an empty word."""
        release = plan.cell.release
        return name_content(release, {} if release.image_digest else self.read_images())

    @property
    def root(self) -> str:
        """Return the first folder of weights that the user named, or an empty word."""
        roots = self.local.get("roots", ())
        return str(roots[0]) if roots else ""


def write_default(name: str, value: str) -> str:
    """`NAME=${NAME:-value}`: a default, quoted, that the environment may replace; `~/` is the home directory."""
    # a quoted tilde is not expanded, and an unquoted path breaks at a blank
    quoted = f'"$HOME"/{shlex.quote(value[2:])}' if value.startswith("~/") else shlex.quote(value)
    return f"{name}=${{{name}:-{quoted}}}"


def write_image(plan: Plan) -> str:
    """`IMAGE=...`: the image comes from outside, by content, where only a tag is known."""
    why = re.sub(r"[}\"$`\\]", "_", f"{explain_tag_alone(plan.cell.release)}; then print this again")
    return (
        "IMAGE=${IMAGE:-}\n"
        f'[ -n "$IMAGE" ] || die "{why}"\n'
        'case "$IMAGE" in *@sha256:*|sha256:*) ;; *) die "$IMAGE is a tag: NAME@sha256:... is content" ;; esac'
    )


def write_required(name: str, message: str) -> str:
    """`NAME=${NAME:?message}`: the script ends where the variable is not set. The message is plain words."""
    # inside ${...:?} the shell expands and ends at a brace: nothing of a message may be syntax
    plain = re.sub(r"[^\w ,.:/-]", "_", message)
    return f"{name}=${{{name}:?{plain}}}"
