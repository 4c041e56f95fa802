"""The drift of the traffic as metrics."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

from whatsit.drift.report import Drift
from whatsit.drift.watch import Watch
from whatsit.telemetry.catalogue import (
    DRIFT_PICTURES,
    DRIFT_PSI,
    DRIFT_SIGNAL,
    DRIFT_STATE,
    DescribedMetric,
)

_STATES: dict[Drift, int] = {"too few": 0, "as usual": 0, "shifting": 1, "different": 2}


class DriftMetrics:
    """The report of a watch, computed at each scrape. Registered with Prometheus's client.

    Args:
        watch: Of the traffic of this process.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        """The metrics of now, as Prometheus's client asks for them."""
        psi, state, pictures = (
            _gauge(metric) for metric in (DRIFT_PSI, DRIFT_STATE, DRIFT_PICTURES)
        )
        report = self._watch.report()
        for window in report.windows if report is not None else ():
            pictures.add_metric([window.window], window.pictures)
            for signal in window.signals:
                labels = [signal.signal, window.window]
                psi.add_metric(labels, round(signal.psi, 4))
                state.add_metric(labels, _STATES[signal.drift])
        yield from (psi, state, pictures)
        signals = HistogramMetricFamily(
            DRIFT_SIGNAL.name, DRIFT_SIGNAL.meaning, labels=DRIFT_SIGNAL.labels
        )
        for name, totals in self._watch.totals().items():
            ends = [*map(str, totals.reference.edges), "+Inf"]
            buckets = list(zip(ends, accumulate(totals.counts), strict=True))
            signals.add_metric([name], buckets, totals.total)
        yield signals


def _gauge(metric: DescribedMetric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
