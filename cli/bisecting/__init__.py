"""`glm-matrix bisect`: asks releases until it is known which is the first bad one, then which setting matters.

    command        the verb: what is known before a boot, the search, the settings, what is written
    observed       one run's records -> an answer about its release: good, bad or none
    recorded       answers from evidence that exists; no engine
    probing        the folder of YAML that plans one launch: another release, other settings
    environment    the engine of a release, installed by hash
    launching      answers from real launches: pytest in a process of its own, stopped with us
    child          what that process runs
    ending         a known failure's draft, a text for upstream, a folder that asks again
    words          what is printed, as text and as data

The search itself is pure: matrix.bisecting.
"""
