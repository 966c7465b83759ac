"""Result rows, their files, and the outcome of a case over its launches; pure."""
