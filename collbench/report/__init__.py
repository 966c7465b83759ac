"""Results as one self-contained HTML page: tables and verdicts of other commands, and interactive charts."""
