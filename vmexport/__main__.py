"""`python -m vmexport` is the `vmexport` program."""

from vmexport.cli.main import run

if __name__ == "__main__":
    run()
