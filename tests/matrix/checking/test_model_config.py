"""What a config, a name and the axes say of a checkpoint: a nested text model's own sizes, the outer class."""

from __future__ import annotations

from matrix.checking.model_config import describe_model
from matrix.preflight.checkpoints.geometry import merge_nested

NESTED = {
    "architectures": ["Glm5NextForConditionalGeneration"],
    "num_hidden_layers": 2,
    "vocab_size": 5,
    "text_config": {"architectures": ["Glm5NextTextModel"], "num_hidden_layers": 47},
}


def test_sizes_are_read_where_engines_read_them_and_the_class_outside() -> None:
    """The linter of checkpoints merges sizes alike: two tools must not read two models out of one file."""
    read = describe_model("/w", NESTED).config
    assert read["num_hidden_layers"] == 47 == merge_nested(NESTED)["num_hidden_layers"]
    assert read["architectures"] == ["Glm5NextForConditionalGeneration"] and read["vocab_size"] == 5
