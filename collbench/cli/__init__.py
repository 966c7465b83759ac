"""The command line: one module per command, which parses options, calls the packages below and prints."""
