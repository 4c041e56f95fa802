"""How often people found answers right, week by week."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from whatsit.feedback.correction import Verdict


@dataclass(frozen=True, slots=True)
class DayTally:
    """How often a verdict was given on a model's answers on one day.

    Attributes:
        day: UTC, in ISO 8601.
        model: Name of the model that had answered; None where that is no longer known.
        verdict: The verdict.
        count: Of how many pictures.
    """

    day: str
    model: str | None
    verdict: Verdict
    count: int


@dataclass(frozen=True, slots=True)
class WeekAccuracy:
    """The corrections of one model's answers in one week.

    Attributes:
        monday: Its first day, UTC.
        model: Name of the model that had answered; None where that is no longer known.
        right: Answers that were called right.
        wrong: Answers that were corrected.
    """

    monday: date
    model: str | None
    right: int
    wrong: int

    @property
    def accuracy(self) -> float:
        """Share of the corrected or confirmed answers that was right."""
        return self.right / (self.right + self.wrong)


def monday_of(day: date) -> date:
    """The first day of the week that `day` belongs to."""
    return day - timedelta(days=day.weekday())


def sum_up_weeks(tallies: Iterable[DayTally]) -> tuple[WeekAccuracy, ...]:
    """Days as weeks, the latest first; models of one week by name."""
    counts: dict[tuple[date, str], tuple[str | None, int, int]] = {}
    for tally in tallies:
        key = (monday_of(date.fromisoformat(tally.day)), tally.model or "")
        _, right, wrong = counts.get(key, (None, 0, 0))
        if tally.verdict == "right":
            right += tally.count
        else:
            wrong += tally.count
        counts[key] = (tally.model, right, wrong)
    weeks = sorted(counts.items(), key=lambda item: (-item[0][0].toordinal(), item[0][1]))
    return tuple(
        WeekAccuracy(monday, model, right, wrong) for (monday, _), (model, right, wrong) in weeks
    )
