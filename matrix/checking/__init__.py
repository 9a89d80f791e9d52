"""`check`: what is known of anybody's own launch line, before it is launched. Text in, findings out. Pure.

    words, shell_script     a shell script or one line -> words with their lines; nothing is executed
    containers, launchers   docker run, compose, Kubernetes, `vllm serve` and their like -> Command
    settings, facts         Command + snapshot + config.json -> what every value really means for that release
    rules, checks.yaml      what is known of pairs of facts, as data with sources
    judge, render           Command -> findings, the worst first

Nothing else of the project imports this room; `command` is its door.
"""
