"""What is asked of a run: sizes, types, collectives, layouts, and from a sweep to its cases; pure."""
