"""docs/reference/metrics.md: every metric of Cronwax's own."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, Metric

from cronwax.reference.markdown import MADE_BY, table
from dataflow.operations import metrics
from dataflow.operations.vitals import METRICS as VITALS

_HEAD = f"""\
# Metrics

{MADE_BY}

Prometheus metrics at `/metrics` ([how to open it](../operations.md#metrics)). Counters start at 0 with the process;
what is read again after a crash is counted again. In a cluster each process shows its own part.
"""


def metrics_page() -> str:
    """The whole page."""
    rows = [*_counted(), *((name, "gauge", labels, help_text) for name, labels, help_text in VITALS)]
    cells = [
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), text)
        for name, kind, labels, text in sorted(rows)
    ]
    return f"{_HEAD}\n{table(('metric', 'kind', 'labels', 'meaning'), cells)}\n"


def _counted() -> list[tuple[str, str, tuple[str, ...], str]]:
    found = []
    for collector in vars(metrics).values():
        if isinstance(collector, Counter | Gauge | Histogram):
            (family,) = collector.describe()
            found.append((_exposed(family), family.type, collector._labelnames, family.documentation))
    return found


def _exposed(family: Metric) -> str:
    """The name as Prometheus shows it."""
    return f"{family.name}_total" if family.type == "counter" else str(family.name)
