"""Loans: quota of owners beyond the family, for runs that ask for it."""
