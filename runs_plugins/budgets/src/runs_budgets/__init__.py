"""Budgets: every GPU-second has one payer, or none."""
