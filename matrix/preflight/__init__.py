"""What can be known about a plan without a GPU and without starting its engine.

snapshot.py        what one pinned release accepts, extracted from its own wheel (data in matrix/snapshots/)
argparse_model.py  how that release's parser would read an argv: prefixes, ambiguity, choices
verdict.py         preflight(argv, env, snapshot, checkpoint) -> Report
checkpoint.py      a checkpoint's JSON and safetensors headers, judged
pattern.py         index_topk_pattern, counted
plans.py           the verdict of a whole plan (`glm-matrix preflight`)
patch.py           patches as data: matrix/patches/<name>/patch.yaml
quantisation.py    the quantisation map against the dtypes in the headers
kernels.py         which GPUs the wheels of a release are compiled for (data in matrix/snapshots/kernels/)
kv.py              KV bytes per token and layout, and the largest context that fits
"""
