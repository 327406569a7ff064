"""What a plugin must be allowed to do in the cluster."""

from __future__ import annotations

from runs_core.values.permission import Permission

__all__ = ["Permission"]
