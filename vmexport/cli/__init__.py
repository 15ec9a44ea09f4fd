"""The command line: one file a command, shared options, and the only printing code of the package.

A command parses, calls one function of the library, and renders the dataclass that comes back. What holds
for all: stdout is the result, a table or with `--json` one JSON document and nothing else; progress, notes
and errors are text on stderr; the exit code says what kind of failure it was (`vmexport.errors.ExitCode`).
A check that fails still prints its report before its error. What a command writes is named by `--output`,
`-o`.
"""
