"""Take a training's results into the checkout: join the weights' parts and write the config beside them.

python3 -m lab.canary_training.flash.adopt RESULTS
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fixtures.canary.writing import write_json
from lab.canary_training.checkpoint import WEIGHTS, load_tokenizer
from lab.canary_training.flash.parts import join_parts
from lab.canary_training.flash_config import FLASH, flash_config_json
from matrix.checkout import CHECKOUT
from matrix.output.command_line import CommandLine

FOLDER: Final = CHECKOUT / "fixtures" / "canary" / "flash"


def main(argv: Sequence[str] | None = None) -> int:
    """Write both files and print their paths."""
    own = CommandLine(prog="python3 -m lab.canary_training.flash.adopt", description=(__doc__ or "").splitlines()[0])
    own.add_argument("results", type=Path, help="folder of weights.0, weights.1, ... and results.json")
    options = own.parse_args(argv)
    weights, config = FOLDER / WEIGHTS, FOLDER / "config.json"
    FOLDER.mkdir(exist_ok=True)
    weights.write_bytes(join_parts(options.results))
    write_json(config, flash_config_json(FLASH, load_tokenizer().get_vocab(with_added_tokens=True)))
    sys.stdout.write(f"{weights}\n{config}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
