"""An entrypoint for the process workers: `sluice run publish --entrypoint hello.py:greet --param name=Ada`."""

from dispatcher import context


def greet(name: str = "world") -> str:
    """Say hello, in the log and as the result."""
    context.logger.info("greets", name=name)
    return f"hello, {name}"
