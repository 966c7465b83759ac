"""The plan of a run: sizes, types, collectives, layouts, and the cases of a sweep; pure."""
