"""`python -m plaza` is the command."""

from plaza.cli.main import main

main()
