"""`sluice scheduler`: the service that turns due times into queued runs."""

from cyclopts import App

from dispatcher.cli.connecting import service_settings
from dispatcher.cli.serving import Health, run_service, serve_alone

from .service import serve

app = App(name="scheduler", help="Schedulers publish what is due; any number of them share the work.")


@app.command
def start(*, health: Health = None) -> None:
    """Run a scheduler until SIGINT or SIGTERM."""
    settings = service_settings()
    run_service(settings, lambda: serve_alone("scheduler", serve, settings, health))
