"""`sluice dispatcher`: the service that looks after pools."""

from cyclopts import App

from ..service import serve
from .connecting import service_settings
from .serving import Health, run_service, serve_alone

app = App(name="dispatcher", help="Dispatchers reclaim, repair and clean up; any number of them share the work.")


@app.command
def start(*, health: Health = None) -> None:
    """Run a dispatcher until SIGINT or SIGTERM."""
    settings = service_settings()
    run_service(settings, lambda: serve_alone("dispatcher", serve, settings, health, observe=True))
