"""YAML 1.2 as CI systems read it: `on` is a word, and scripts are literal blocks."""

from __future__ import annotations

from typing import Any

import yaml


class Dumper(yaml.SafeDumper):
    """Dumps YAML 1.2 as GitHub reads it: `on` is a word and stays unquoted, scripts are literal blocks."""


Dumper.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if first not in "oO" or tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeDumper.yaml_implicit_resolvers.items()
}
Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def dump_workflow(workflow: dict[str, Any]) -> str:
    """Dump a CI file, keys in their order."""
    return str(yaml.dump(workflow, Dumper=Dumper, sort_keys=False, width=10_000, allow_unicode=True))
