"""Computed answers about a world: frozen values, and the JSON that machines may rely on."""
