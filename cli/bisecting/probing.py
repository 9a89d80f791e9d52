"""The folder of YAML that plans one launch: the cell on some release, with some of its settings.

It holds the axes and rules of this checkout, the release where they lack it, and one recipe: exactly the launch that is
asked about. Known failures are there, too; an answer that is known to be bad is bad.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.requirements import Requirement

from matrix.model import Cell
from matrix.yaml.load import HERE
from matrix.yaml.loaded import Matrix

COPIED: Final = ("axes", "rules.yaml", "causes.yaml", "known_failures.yaml")
LINKED: Final = ("snapshots", "patches")
DROPPED: Final = ("image", "image_digest", "module", "pins", "notes")  # of a release that others are modelled on


def write_matrix(folder: Path, matrix: Matrix, cell: Cell, recipe: Mapping[str, Any], like: Cell) -> Path:
    """Write the folder anew and return it. `like`: the cell of a release on the axes, by which its own is modelled."""
    # anew: a release's file of the boot before would be one more release on the axes
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "recipes").mkdir(parents=True)
    for name in COPIED:
        source = HERE / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, folder / name)
    for name in LINKED:
        # big and only read; what a probe may add to is copied, since a link would write into the checkout
        (folder / name).symlink_to(HERE / name, target_is_directory=True)
    # what is published names releases and rigs of the whole matrix, and a probe is judged by none of it
    _dump(folder / "published.yaml", {"published": []})
    (folder / "claims").mkdir()
    if cell.release.id not in matrix.releases:
        _dump(folder / "axes" / "engines" / cell.engine.id / f"{cell.release.id}.yaml", make_release(cell, like))
    _dump(folder / "recipes" / "bisect.yaml", {"overlays": [dict(recipe)]})
    return folder


def make_release(cell: Cell, like: Cell) -> dict[str, Any]:
    """Return a release that is not on the axes, with the features, formats and kernels of one that is."""
    path = HERE / "axes" / "engines" / like.engine.id / f"{like.release.id}.yaml"
    known = yaml.safe_load(path.read_text(encoding="utf-8"))
    version = cell.release.version
    own = {
        "id": cell.release.id,
        "version": version,
        "title": f"{like.engine.title} {version}",
        "source": f"glm-matrix bisect, modelled on {like.release.id}",
        "requirement": name_requirement(like, version),
    }
    return {**{k: v for k, v in known.items() if k not in DROPPED}, **own}


def name_requirement(like: Cell, version: str) -> str:
    """Return the requirement of another version of a cell's engine; empty where it is published as an image only."""
    if not like.release.requirement:
        return ""
    known = Requirement(like.release.requirement)
    extras = f"[{','.join(sorted(known.extras))}]" if known.extras else ""
    return f"{known.name}{extras}=={version}"


def _dump(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=1000), encoding="utf-8")
