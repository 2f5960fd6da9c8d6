"""What a dispatcher exports of a server, as a scrape would see it."""

from prometheus_client import CollectorRegistry

from dispatcher.clock import SystemClock
from dispatcher.collector import Observer, SnapshotCollector
from dispatcher.metrics import FAMILIES


class Scrape:
    """One scrape of the families of the snapshot, each time a new one."""

    def __init__(self, url: str) -> None:
        registry = CollectorRegistry()
        observer = Observer(url, SystemClock())
        try:
            registry.register(SnapshotCollector(observer.snapshot))
            self.families = {family.name: family for family in registry.collect()}
        finally:
            observer.close()

    @property
    def names(self) -> set[str]:
        """Families that have samples, by their names without the prefix."""
        return {name for name, family in FAMILIES.items() if family.name.removesuffix("_total") in self.families}

    def value(self, sample: str, **labels: str) -> float | None:
        """The value of one sample, None when there is none."""
        for family in self.families.values():
            for each in family.samples:
                if each.name == f"sluice_{sample}" and each.labels == labels:
                    return each.value
        return None

    def values(self, sample: str, **labels: str) -> dict[str, float]:
        """The values of a sample with one label more than these, by that label."""
        found: dict[str, float] = {}
        for family in self.families.values():
            for each in family.samples:
                rest = dict(each.labels.items() - labels.items())
                if each.name == f"sluice_{sample}" and len(rest) == 1 and labels.items() <= each.labels.items():
                    found[next(iter(rest.values()))] = each.value
        return found

    def series(self, **labels: str) -> int:
        """How many samples have these labels."""
        return sum(
            labels.items() <= each.labels.items() for family in self.families.values() for each in family.samples
        )
