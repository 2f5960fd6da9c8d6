"""The names of the series that Sluice exports, from its own definitions."""

from collections.abc import Iterator

from prometheus_client.metrics import MetricWrapperBase

from dispatcher import metrics

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def _families() -> Iterator[tuple[str, str]]:
    """Names without suffix, and kinds: of the snapshot, of what a process counts, of the process itself."""
    for family in metrics.FAMILIES.values():
        yield family.name.removesuffix("_total"), family.kind
    for value in vars(metrics).values():
        if isinstance(value, MetricWrapperBase):
            yield from ((metric.name, metric.type) for metric in value.describe())
    for metric in metrics.REGISTRY.collect():
        yield metric.name, metric.type


DEFINED = frozenset(name + suffix for name, kind in _families() for suffix in _SUFFIXES[kind])
