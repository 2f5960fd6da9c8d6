"""`sluice version`."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version of the installed distribution."""
    try:
        return version("sluice-dispatcher")
    except PackageNotFoundError:
        return "0 (not installed)"


def show_version() -> None:
    """Print the version."""
    print(installed_version())
