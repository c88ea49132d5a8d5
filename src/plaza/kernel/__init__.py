"""The vocabulary of the house; imports nothing else of Plaza."""
