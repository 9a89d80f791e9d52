"""How the canary's weights were made. Only this package needs torch, safetensors and tokenizers.

    glm-matrix train-canary train --out /tmp/canary --workers 14
    glm-matrix train-canary evaluate /tmp/canary
    glm-matrix train-canary verify /tmp/canary       needs transformers >= 5.13

Measured on one H200 with torch 2.11, bf16 autocast, eager, 14 data processes:

    trunk      15,000 steps of 32,768 tokens   579 s   28 ms a step up to 1k, 30 at 2k, 33 at 4k, 37 at 8k,
                                                       45 with 16k rows, 55 with 32k rows
    auxiliary   3,000 steps of 16,384 tokens   119 s   indexers by KL, MTP by cross entropy, trunk frozen
    second run  8,000 steps of 32,768 tokens   436 s   --resume WEIGHTS --refresh --mtp-share 0.15 --rate 8e-4
                                                       --seed trunk2 --auxiliary-steps 6000 --auxiliary-rate 1.5e-3
                6,000 steps of 16,384 tokens   229 s   (its auxiliary part)
    evaluate   64 items a task, to 32k         256 s   of which 195 s are sparse attention at 16k and 32k
    smoke      12 steps of each                 20 s   --steps 12 --auxiliary-steps 12

Without a GPU only `--help`, a one-step smoke run (a minute) and `verify` are practical.
Two runs on two machines printed the same losses over their first 2,000 steps: batches depend on the seed
and the step alone. The weights need not be equal bit by bit, since GPU sums have no fixed order.
The tokenizer is not trained here: `hf/tokenizer.json`, `tokenizer_config.json` and the template are inputs.
"""
