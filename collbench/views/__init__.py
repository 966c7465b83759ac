"""Records as people see them: tables, comparisons, figures; pure."""
