"""The state and its incremental indexes."""
