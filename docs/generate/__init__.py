"""Writes docs/reference from the code: `python -m docs.generate`; with `--check` it says what is not current."""
