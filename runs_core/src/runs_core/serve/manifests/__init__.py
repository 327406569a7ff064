"""The Kubernetes objects that an installation consists of, as pure functions."""
