"""Rows and their files, and what a case over its launches is worth; pure."""
