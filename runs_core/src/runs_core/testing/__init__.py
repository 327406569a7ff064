"""The public kit for tests of plugins, and of runs itself."""
