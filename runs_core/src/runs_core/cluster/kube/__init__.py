"""A live Kubernetes cluster. Nothing outside this package imports the `kubernetes` client."""
