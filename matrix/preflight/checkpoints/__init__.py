"""The checkpoint linter: the files of a checkpoint held against each other. `matrix.preflight.checkpoint` judges.

files           the files as data                shards, layers    what is there, and where
survey          tensors by layer, config merged  sharing           which layers select, by config and by weights
geometry        config.json's numbers, checked   moe, shapes       numbers of the config against the tensors
architectures   what a model class must have     rope, dtypes      two spellings of one thing
quant_map       dialects of quantisation maps    quant_tensors     the map against the tensors
constants       numbers that no tensor decides   linears       linear layers as they are stored
tokens          tokenizer and sampling defaults  template          can thinking be switched off
"""
