"""`upgrade`: what another release of the engine changes for a line. Two snapshots and a line in, news out. Pure.

    sides        the line as each of the two releases understands it (matrix.checking), and what else decides
    findings     what is found of the line on one side only: begins, or ends
    boundaries   since when something is gone, and what took an option's place
    defaults     of options that the line leaves to the release
    choices      KV type, backends and pages that a release chooses by itself
    parts        pins and the class below the line; gpu_code: kernels for its GPU; truths: facts that change
    patching     patches that one side needs; of_cells: a cell as a line, its known failures and exclusions
    compare      all of them in order of danger, and the answer in one sentence

Of the project only matrix.bisecting imports this room; `command` is its door.
"""
