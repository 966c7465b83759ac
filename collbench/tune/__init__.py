"""Tuning: which candidate replaces the default, and the table of what was found; pure."""
