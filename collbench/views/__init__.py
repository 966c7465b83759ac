"""Presentation of records: tables, comparisons, figures; pure."""
