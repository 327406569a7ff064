"""The frozen nouns of runs. Nothing here knows a cluster, a file or a clock."""
