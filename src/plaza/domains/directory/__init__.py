"""The directory: people as others find and see them — lists and search, one profile, whom you may know.

It has no table of its own: it reads people, blocks, follows, connections and threads. Whom it lists, and what a viewer
sees of them, is said in `people/fragments.py` and in `fragments.py` here.
"""
