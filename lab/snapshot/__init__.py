"""Read a pinned engine release out of its own wheel, without installing or importing it.

    wheel.py        get the wheel and hand out its text members
    source.py       a package as lazily parsed modules, with imports followed
    evaluate.py     constant expressions, evaluated where they can be
    hints.py        type annotations, taken apart
    parsers.py      add_argument calls -> Flag
    annotated.py    dataclass fields with Arg(...) metadata -> Flag       (SGLang from 0.5.17)
    config_class.py config dataclasses through get_kwargs -> Flag         (vLLM)
    environment.py  environment variables that the package reads
    registry.py     architectures, parsers, model types
    extract.py      the above, put together per engine
    checkpoint.py   a checkpoint directory: JSON files and safetensors headers only

Command line: `glm-matrix snapshot ENGINE==VERSION [--out FILE] [--wheel FILE]`.
"""
