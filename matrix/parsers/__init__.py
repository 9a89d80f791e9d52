"""What each release's own tool-call and reasoning parsers make of a corpus of replies: recorded runs, judged here.

`lab/parsers` runs the code of the wheels and writes runs/*.json; this room holds corpus, judge and findings.
"""
