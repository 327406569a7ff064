"""The command line of runs: `runs`, also installed as the kubectl plugin `kubectl runs`."""

__version__ = "0.1.0"
