"""Which keys of config.json a release reads, for which architecture."""

from __future__ import annotations

from lab.snapshot.config_keys import read_keys
from lab.snapshot.source import WheelSource

FILES = {
    "toy/runner.py": b"x = hf_config.num_hidden_layers\nif 'rope_theta' in self.config:\n    pass\n",
    "toy/models/glm.py": b"from .shared import helper\na = getattr(config, 'index_topk_freq', 1)\n",
    "toy/models/shared.py": b"def helper(config):\n    return config.get('index_topk_pattern')\n",
    "toy/models/other.py": b"b = self.config.indexer_types\n",
    "toy/models/loop.py": b"for key in ('first_key', 'second_key'):\n    getattr(config, key, None)\n",
    "toy/configs/other.py": b"class OtherConfig(PretrainedConfig):\n    own_key: int = 1\n",
    "toy/engine.py": b"cache_block = block_cache.entries\nhf_config.__class__\n",
    "toy/tests/test_x.py": b"config.only_in_a_test\n",
}


def keys() -> dict[str, frozenset[str]]:
    modules = {"Glm": "toy.models.glm", "Other": "toy.models.other", "Loop": "toy.models.loop"}
    return read_keys(WheelSource(FILES), prefix="toy/", models=("toy/models/",), registered=modules)


def test_what_every_model_reads_stands_apart_from_what_one_reads() -> None:
    assert keys()["*"] == {"num_hidden_layers", "rope_theta"}
    assert keys()["Glm"] == {"index_topk_freq", "index_topk_pattern"}, "with the helper that it imports"


def test_a_key_that_only_another_model_reads_is_not_read() -> None:
    assert keys()["Other"] == {"indexer_types"}
    assert "indexer_types" not in keys()["Glm"] | keys()["*"]
    assert not any("own_key" in found for found in keys().values()), "another model's config class"


def test_where_a_variable_asks_every_quoted_word_counts() -> None:
    assert keys()["Loop"] == {"first_key", "second_key"}


def test_a_model_file_that_the_engine_itself_imports_is_everybody_s() -> None:
    files = {**FILES, "toy/top.py": b"from toy.models.shared import helper\n"}
    found = read_keys(WheelSource(files), prefix="toy/", models=("toy/models/",), registered={"Glm": "toy.models.glm"})
    assert "index_topk_pattern" in found["*"]


def test_attributes_of_other_objects_are_no_keys() -> None:
    assert not any("entries" in found or "__class__" in found for found in keys().values())
