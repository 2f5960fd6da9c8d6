"""What may go wrong between us and the daemon."""


class DaemonAway(Exception):
    """The daemon does not answer; it may have done what it was asked."""


class Refused(Exception):
    """The daemon answered, with a status of HTTP and its own words."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text.strip()
        super().__init__(f"the Docker daemon says ({status}): {self.text}")

    @property
    def is_missing(self) -> bool:
        """What was named is not there."""
        return self.status == 404
