"""The command `plaza`: progress and words to stderr, results to stdout; exit 0 good, 1 failed, 2 usage."""
