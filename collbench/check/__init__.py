"""The regression gate: verdicts on a candidate against a baseline, with launches as replicates."""
