"""Tuning: whether a candidate replaces the default, and the table of the choices; pure."""
