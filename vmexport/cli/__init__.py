"""The command line: one file a command, shared options, and the only printing code of the package."""
