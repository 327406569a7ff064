"""The embedded cluster: SQLite and a simulated kubelet."""
