"""The trace simulator: a virtual clock, as fast as it goes."""
