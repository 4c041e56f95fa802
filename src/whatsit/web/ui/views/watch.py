"""The page's view of a watched model, as pure functions: values in, HTML out."""

import html
from collections.abc import Sequence
from datetime import UTC, datetime

from whatsit.drift.report import Drift, SignalDrift, WindowDrift, next_step
from whatsit.drift.signals import SHAPE_SIGNALS
from whatsit.drift.watch import DAY, LATEST, WatchReport
from whatsit.feedback.accuracy import WeekAccuracy

_WINDOWS = {DAY: "In the last 24 hours", LATEST: "Of the last 1,000 pictures"}
_WORDS: dict[Drift, str] = {
    "too few": "too few to tell",
    "as usual": "as usual",
    "shifting": "shifting",
    "different": "different",
}
_SIGNALS = {
    "score": "Score of the best label",
    "margin": "Its lead over the second",
    "certainty": "How sure it is",
    "familiarity": "Likeness to photographs",
    "shorter_side": "Shorter side",
    "aspect_ratio": "Width to height",
    "colour_entropy": "Variety of colours",
    "flat_ratio": "Flat areas",
    "log_fine_contrast": "Fine contrast",
    "log_coarse_contrast": "Coarse contrast",
    "log_spread": "Spread of brightness",
    "log_saturation": "Strength of colours",
}
_CERTAINTIES = ("sure", "probably", "not sure", "not recognised")


def drift_summary(report: WatchReport) -> str:
    """The reference, the pictures that are compared with it, and the result."""
    reference = report.reference
    if reference is None:
        return (
            f"<p>The usual pictures of {html.escape(report.model.name)} have not been measured, "
            "so there is nothing to compare with. With a hundred of them or more: <code>whatsit "
            f"models reference {html.escape(report.model.name)} --images FOLDER</code></p>"
        )
    rows = [
        ("Compared with", f"{reference.pictures:,} pictures: {html.escape(reference.dataset)}"),
        ("Watched since", _moment(report.since)),
    ]
    for window in report.windows:
        count = f"{window.pictures:,} new picture{'' if window.pictures == 1 else 's'}"
        since = "" if window.since is None else f", the first on {_moment(window.since)}"
        rows.append((_WINDOWS[window.window], f"{_word(window.drift)} · {count}{since}"))
    body = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    step = next_step(report.windows)
    advice = "" if step is None else f'<p class="whatsit-step"><b>Next:</b> {_code(step)}</p>'
    return f'<dl class="whatsit-facts">{body}</dl>{advice}'


def drift_signals(report: WatchReport) -> str:
    """Each signal of the latest pictures beside the reference; empty without a reference."""
    window = next((window for window in report.windows if window.window == LATEST), None)
    if window is None:
        return ""
    rows = "".join(_row(window, signal) for signal in window.signals)
    return (
        '<p class="whatsit-key"><i class="then"></i> reference <i class="now"></i> '
        "the latest pictures, from small values on the left to large ones on the right</p>"
        '<table class="whatsit-table whatsit-drift"><thead><tr><th scope="col">Signal</th>'
        '<th scope="col">Shares</th><th scope="col">PSI</th><th scope="col">It is</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
        "<p>PSI is how far the shares lie apart, less what chance gives: from 0.1 on they are "
        "shifting, from 0.25 on different; as long as chance could explain it, it is as usual. "
        "Size and shape are shown, but never raise an alarm: every "
        "picture is scaled before the model sees it.</p>"
    )


def accuracy_by_week(weeks: Sequence[WeekAccuracy]) -> str:
    """How often people found answers right, a row for each week and model."""
    if not weeks:
        return "<p>No answer has a verdict yet. You can give one below each answer.</p>"
    rows = "".join(
        f'<tr><th scope="row">{week.monday.isoformat()}</th>'
        f"<td>{html.escape(week.model or 'not known')}</td><td>{week.right:,}</td>"
        f"<td>{week.wrong:,}</td><td>{week.accuracy * 100:.0f} %</td></tr>"
        for week in weeks
    )
    return (
        '<table class="whatsit-table"><thead><tr><th scope="col">Week of</th>'
        '<th scope="col">Model</th><th scope="col">Right</th><th scope="col">Wrong</th>'
        f'<th scope="col">Share right</th></tr></thead><tbody>{rows}</tbody></table>'
        "<p>Who finds an answer wrong says so more often than who finds it right. So watch how "
        "the share changes, not how high it is.</p>"
    )


def _row(window: WindowDrift, signal: SignalDrift) -> str:
    name = _SIGNALS.get(signal.signal, signal.signal)
    is_quiet = signal.signal in SHAPE_SIGNALS
    psi = f"{signal.psi:.2f}" if signal.drift != "too few" else ""
    note = " (no alarm)" if is_quiet and signal.drift in ("shifting", "different") else ""
    return (
        f'<tr><th scope="row">{name}</th><td>{_bars(window, signal, name)}</td>'
        f"<td>{psi}</td><td>{_word(signal.drift)}{note}</td></tr>"
    )


def _bars(window: WindowDrift, signal: SignalDrift, name: str) -> str:
    then = signal.reference.shares
    observed = max(1, sum(signal.counts))
    now = [count / observed for count in signal.counts]
    tallest = max(*then, *now)
    pairs = "".join(
        f'<span title="{html.escape(_bin(signal, number))}: {a * 100:.0f} %, now {b * 100:.0f} %">'
        f'<i class="then" style="height:{a / tallest * 100:.0f}%"></i>'
        f'<i class="now" style="height:{b / tallest * 100:.0f}%"></i></span>'
        for number, (a, b) in enumerate(zip(then, now, strict=True))
    )
    moved = max(range(len(then)), key=lambda number: abs(now[number] - then[number]))
    label = (
        f"{name}: most moved {_bin(signal, moved)}, {then[moved] * 100:.0f} % in the reference, "
        f"{now[moved] * 100:.0f} % of {window.pictures} now"
    )
    return f'<div class="whatsit-bars" role="img" aria-label="{html.escape(label)}">{pairs}</div>'


def _bin(signal: SignalDrift, number: int) -> str:
    if signal.signal == "certainty":
        return _CERTAINTIES[number]
    edges = signal.reference.edges
    if number == 0:
        return f"up to {edges[0]:.4g}"
    if number == len(edges):
        return f"above {edges[-1]:.4g}"
    return f"{edges[number - 1]:.4g} to {edges[number]:.4g}"


def _word(drift: Drift) -> str:
    return f'<b class="whatsit-is-{drift.replace(" ", "-")}">{_WORDS[drift]}</b>'


def _code(sentence: str) -> str:
    parts = html.escape(sentence).split("`")
    return "".join(
        f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts)
    )


def _moment(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.day} {moment:%B, %H:%M} UTC"
