"""The page's view of a model, as pure functions: values in, HTML out."""

import base64
import html
from collections.abc import Mapping

from whatsit.model_card import ModelCard
from whatsit.models.live import LiveState
from whatsit.prediction import ModelId


def picture(image_bytes: bytes, alt: str) -> str:
    """A JPEG within the page itself, so that a browser need not fetch it."""
    encoded = base64.b64encode(image_bytes).decode()
    return (
        f'<img class="whatsit-picture" src="data:image/jpeg;base64,{encoded}" '
        f'alt="{html.escape(alt)}">'
    )


def model_facts(card: ModelCard, model: ModelId, num_classes: int, since: str) -> str:
    """The model's identity and quality from its card, and the moment since which it answers."""
    quality = card.quality
    measured = quality.get("answers", {})
    return _facts(
        {
            "Name": card.name,
            "What it is": card.description,
            "Knows": f"{num_classes:,} kinds of things",
            "Sees": f"the middle {card.input.size} × {card.input.size} pixels of a picture whose "
            f"shorter side is scaled to {card.input.resize_shorter_side}",
            "Right at the first guess": _share(measured.get("top1", quality.get("top1"))),
            "Right within five guesses": _share(measured.get("top5", quality.get("top5"))),
            "Measured on": quality.get("dataset"),
            "Published accuracy": _share(quality.get("published_top1")),
            "Comes from": card.source,
            "Licence": card.licence,
            "Fingerprint": model.fingerprint[:16],
            "Answers since": _moment(since),
        }
    )


def model_history(state: LiveState) -> str:
    """The live model, the one tried beside it, and those that were live before, newest first."""
    if state.current is None:
        return "<p>No model was promoted yet, so the default one answers.</p>"
    rows = [(entry.name, "was live", entry.since) for entry in state.history]
    rows[0] = (state.current.name, "is live", state.current.since)
    if (canary := state.canary) is not None:
        share = f"answers {canary.ratio * 100:g} % of the pictures, to be compared"
        rows.insert(1, (canary.name, share, canary.since))
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{what}</td><td>{_moment(since)}</td></tr>'
        for name, what, since in rows
    )
    return (
        '<table class="whatsit-table"><thead><tr><th scope="col">Model</th>'
        '<th scope="col">What it does</th><th scope="col">since</th></tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def model_promises(card: ModelCard) -> str:
    """The meaning of "sure" and "probably", and how often it was found true."""
    measured = card.quality.get("answers", {})
    if not measured:
        return (
            "<p>This model's percentages are not measured here, so the words are used "
            f"sparingly: it says a thing outright from {card.thresholds.sure * 100:.0f} % on, "
            f"“probably” from {card.thresholds.probably * 100:.0f} % on.</p>"
        )
    rows = [
        ("says it outright", "sure", "95 %"),
        ("says “probably”", "probably", "75 %"),
        ("either of them", "stated", ""),
    ]
    body = "".join(
        f'<tr><th scope="row">{words}</th><td>{promise}</td>'
        f"<td>{_share(measured.get(f'{key}_accuracy')) or ''}</td>"
        f"<td>{_share(measured.get(f'{key}_share')) or ''}</td></tr>"
        for words, key, promise in rows
    )
    error, chance = measured.get("ece"), measured.get("ece_chance")
    note = (
        f"<p>Percentages are off by {error * 100:.1f} points on average; by chance alone a "
        f"perfect model would show {chance * 100:.1f} on as many pictures. "
        f"Before calibration it was {measured['ece_raw'] * 100:.1f}.</p>"
        if error is not None and chance is not None and "ece_raw" in measured
        else ""
    )
    return (
        '<table class="whatsit-table"><thead><tr><th scope="col">When it</th>'
        '<th scope="col">it promises to be right</th><th scope="col">and was</th>'
        f'<th scope="col">share of answers</th></tr></thead><tbody>{body}</tbody></table>{note}'
    )


def model_limits(num_classes: int) -> str:
    """Uses that the model is not made for."""
    limits = (
        f"It knows {num_classes:,} kinds of things and nothing else: no people, places, brands "
        "or text.",
        "It looks at the middle of a picture and names one thing, even if there are many.",
        "Drawings, screenshots and close-ups through a microscope are not what it learned from.",
        "It must not decide anything about people.",
    )
    return "<ul>" + "".join(f"<li>{limit}</li>" for limit in limits) + "</ul>"


def _facts(facts: Mapping[str, object]) -> str:
    rows = "".join(
        f"<dt>{name}</dt><dd>{html.escape(str(value))}</dd>"
        for name, value in facts.items()
        if value
    )
    return f'<dl class="whatsit-facts">{rows}</dl>'


def _moment(since: str) -> str:
    return html.escape(since.replace("T", " ").replace("Z", " UTC"))


def _share(ratio: object) -> str | None:
    return f"{ratio * 100:.1f} %" if isinstance(ratio, float) else None
