"""The cached results of pictures, by model and picture: the only place that knows the keys.

Anyone who can write to a shared Redis could put one picture's entry under the key of another. So
an entry counts only if it is of the kind, the model and the picture that were asked for.
"""

from concurrent.futures import Future
from typing import TypeVar

from whatsit.cache.base import CacheEntry
from whatsit.cache.key import build_cache_key
from whatsit.cache.tiers import TieredCache
from whatsit.prediction import HeatMap, ModelId, Prediction

_Entry = TypeVar("_Entry", Prediction, HeatMap)


class AnswerCache:
    """Predictions and heat maps in the tiers of a cache. Safe to call from several threads.

    Each model has its own. A prediction lies under two digests: that of the image bytes, and that
    of the pixels the model sees, which other files may share. A failure of a tier stays
    here, and counts as a miss.

    Args:
        tiers: Where the entries lie.
        namespace: Prefix of the keys.
    """

    def __init__(self, tiers: TieredCache, namespace: str) -> None:
        self._tiers = tiers
        self._namespace = namespace

    def recall(self, model: ModelId, sha256: str) -> Prediction | None:
        """The prediction this process keeps; never waits, so an event loop may call it.

        Args:
            model: Whose answer.
            sha256: Hex digest of the image bytes.
        """
        found = self._tiers.get_fast(self._key(model, sha256))
        return _trusted(found, Prediction, model, sha256)

    def look_up(self, model: ModelId, sha256: str) -> Prediction | None:
        """The prediction that any tier keeps. Waits up to the time-out of the shared tier."""
        found = self._tiers.get(self._key(model, sha256))
        return _trusted(found, Prediction, model, sha256)

    def look_up_shared(self, model: ModelId, sha256: str) -> "Future[Prediction | None]":
        """The prediction that the shared tier keeps, as soon as that has answered."""
        found: Future[Prediction | None] = Future()

        def pass_on(answered: "Future[CacheEntry | None]") -> None:
            try:
                prediction = _trusted(answered.result(), Prediction, model, sha256)
            except BaseException as error:  # noqa: BLE001 - raised again by `result`
                found.set_exception(error)
            else:
                found.set_result(prediction)

        self._tiers.get_shared(self._key(model, sha256)).add_done_callback(pass_on)
        return found

    def claim(
        self, model: ModelId, pixels_sha256: str, seconds: float
    ) -> tuple[Prediction | None, bool]:
        """The prediction for some pixels; if none is kept, the right to compute it.

        Args:
            model: Whose answer.
            pixels_sha256: Hex digest of the pixels that the model sees.
            seconds: How long no other process gets that right.

        Returns:
            The prediction, whose picture may be another file with the same pixels, or None; and
            True if the caller is to compute it now.
        """
        found, leads = self._tiers.claim(self._key(model, pixels_sha256, "pixels"), seconds)
        if isinstance(found, Prediction) and found.model == model:
            return found, False
        # The process that finds an entry which does not belong here replaces it.
        return None, leads or found is not None

    def keep(self, prediction: Prediction, pixels_sha256: str | None = None) -> None:
        """Keep a prediction under the digest of its picture.

        Args:
            prediction: The result to keep.
            pixels_sha256: Hex digest of the pixels, to keep it for other files with the same
                pixels as well.
        """
        model = prediction.model
        if pixels_sha256 is not None:
            self._tiers.put(self._key(model, pixels_sha256, "pixels"), prediction)
        self._tiers.put(self._key(model, prediction.image.sha256), prediction)

    def look_up_heat_map(
        self, model: ModelId, sha256: str, class_index: int | None
    ) -> HeatMap | None:
        """The heat map that any tier keeps. Waits up to the time-out of the shared tier.

        Args:
            model: Whose.
            sha256: Hex digest of the image bytes.
            class_index: The label in question; None for the best one.
        """
        found = self._tiers.get(self._key(model, sha256, _why(class_index)))
        heat_map = _trusted(found, HeatMap, model, sha256)
        if heat_map is None or class_index not in (None, heat_map.index):
            return None
        return heat_map

    def keep_heat_map(self, heat_map: HeatMap, class_index: int | None) -> None:
        """Keep a heat map under the label that was asked for; None for the best one."""
        key = self._key(heat_map.model, heat_map.image.sha256, _why(class_index))
        self._tiers.put(key, heat_map)

    def _key(self, model: ModelId, sha256: str, asked: str = "") -> str:
        return build_cache_key(self._namespace, model.fingerprint, sha256, asked)


def _why(class_index: int | None) -> str:
    return f"why:{'best' if class_index is None else class_index}"


def _trusted(
    found: CacheEntry | None, kind: type[_Entry], model: ModelId, sha256: str
) -> _Entry | None:
    if not isinstance(found, kind):
        return None
    return found if found.image.sha256 == sha256 and found.model == model else None
