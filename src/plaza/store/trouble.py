"""What the operator of a store must hear."""


class Trouble(Exception):  # noqa: N818 (its kinds say what is wrong, as everywhere in Plaza)
    """The store cannot do what was asked; the text is a sentence for the operator that says what to do."""
