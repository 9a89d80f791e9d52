"""One command, `glm-matrix VERB`: the top layer. Each verb imports what it starts, late, and pays only for itself.

    program.py    argv -> exit code: finds the verb, says what is wrong, cleans up on Ctrl-C
    verbs.py      every verb with its summary, example and exit codes, in the groups of the help
    programs.py   verb -> the parser and the function behind it; the one place where the layers below are imported
    tree.py       the whole `--help` tree as one argparse parser: for completion and the reference page

Nobody imports this package (`python -m matrix` and `python -m reports` pass on to it what they do not know).
"""
