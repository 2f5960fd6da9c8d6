"""A real Prometheus for tests: our rules, targets of the test, a scrape and an evaluation a second."""

import json
import math
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .processes import Child, Children
from .queries import PROMETHEUS
from .servers import free_port
from .tools import wanted
from .waiting import wait_until_sync

_LOST_PORTS = 5  # somebody else may take a free port before Prometheus does
_ALL_THE_TIME = "1s"


class Prometheus:
    """Scrapes `targets`: ports of 127.0.0.1 by the name of their job. Ends with the children that it is one of.

    An impatient one lets alerts fire after a second, whatever they say.
    """

    def __init__(
        self, children: Children, folder: Path, targets: Mapping[str, Sequence[int]], *, impatient: bool = False
    ) -> None:
        """Write its configuration into the folder and return when it serves."""
        self._children, self._folder = children, folder
        self._write_rules(impatient=impatient)
        self._config = self._write_config(targets)
        tries = _LOST_PORTS
        while not self._launch():
            tries -= 1
            assert tries, f"Prometheus does not start:\n{self.log()}"

    def log(self) -> str:
        """Return what it has written."""
        return self._child.text()

    def ask(self, expr: str) -> list[float]:
        """Return the values of a query now, without those that are no number. AssertionError when it is refused."""
        answer = self._get("/api/v1/query", query=expr)
        assert answer["status"] == "success", f"{expr}: {answer}"
        values = [float(sample["value"][1]) for sample in answer["data"]["result"]]
        return [value for value in values if not math.isnan(value)]

    def rules(self) -> list[dict[str, Any]]:
        """Return its rules, with their health and state."""
        groups = self._get("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self) -> set[str]:
        """Return the alerts that fire."""
        return {rule["name"] for rule in self.rules() if rule.get("state") == "firing"}

    def healthy_targets(self) -> int:
        """Return how many targets it could scrape last time."""
        found = self._get("/api/v1/targets")["data"]["activeTargets"]
        return sum(target["health"] == "up" for target in found)

    def _get(self, path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{self._port}{path}"
        body = urllib.parse.urlencode(query).encode() if query else None
        try:
            with urllib.request.urlopen(url, data=body, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def _write_rules(self, *, impatient: bool) -> None:
        rules = self._folder / "rules"
        shutil.copytree(PROMETHEUS / "rules", rules)
        for path in rules.iterdir():
            text = re.sub(r"\binterval: \w+", f"interval: {_ALL_THE_TIME}", path.read_text())
            path.write_text(re.sub(r"\bfor: \w+", f"for: {_ALL_THE_TIME}", text) if impatient else text)

    def _write_config(self, targets: Mapping[str, Sequence[int]]) -> Path:
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] = dict.fromkeys(config["global"], _ALL_THE_TIME)
        jobs = {job["job_name"]: job for job in config["scrape_configs"]}
        config["scrape_configs"] = [
            {
                "job_name": jobs[name]["job_name"],
                "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
            }
            for name, ports in targets.items()
        ]
        path = self._folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        return path

    def _launch(self) -> bool:
        """Start it; False when it ended at once, as it does when its port is taken."""
        self._port = free_port()
        child: Child = self._children.start(
            wanted("prometheus"),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        )
        self._child = child
        wait_until_sync(
            lambda: child.exit_code is not None or self._is_ready(), description="Prometheus is ready", timeout=60.0
        )
        return child.exit_code is None

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=10) as response:
                return bool(response.status == 200)
        except OSError:
            return False
