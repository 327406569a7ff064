"""attrs classes to CRDs, JSON Schema, defaults and validation; the only (de)serialiser."""
