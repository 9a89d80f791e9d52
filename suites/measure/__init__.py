"""Takes the numbers that suites judge: loads, speeds, logprobs, and the recordings to compare them with."""
