"""Takes the numbers that suites judge: loads, speeds, logprobs, and the records they are held against."""
