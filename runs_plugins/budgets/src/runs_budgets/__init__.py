"""Budgets: every GPU-second has one payer, or none. What other plugins and benchmarks may import stands in the modules."""
