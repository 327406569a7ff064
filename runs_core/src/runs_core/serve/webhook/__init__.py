"""Admission: what the API server asks before it stores a Run or a Budget, and the certificates that it trusts."""
