"""`sluice version`."""


def installed_version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("sluice-dispatcher")
    except PackageNotFoundError:
        return "0 (not installed)"


def show_version() -> None:
    """Print the version."""
    print(installed_version())
