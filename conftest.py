"""Imported before any test: the folders `runs_core/` and `runs_cli/` must not stand in for the packages."""

import runs_cli  # noqa: F401
import runs_core  # noqa: F401
