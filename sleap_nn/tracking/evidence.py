"""What speaks for two stretches being one animal, in units that the video itself sets.

Long stretches are cut: their own parts show how far apart the ends of one animal are after so many frames, and parts
of others at the same time show it for different animals. The cost of a link is the logarithm of how much more
likely what is seen is for different animals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sleap_nn.tracking.ends import WINDOW, Ends, residuals
from sleap_nn.tracking.tracklets import Tracklet

GAPS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377)
"""Frames between two stretches for which motion is measured."""
DAMPINGS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of a gap for which a speed may be believed."""
SAMPLES, FEWEST_SAMPLES = 240, 24
"""Cuts per gap, and the number below which a shorter gap says more."""
SURPRISE = 1e-4
"""Share of links of one animal about which nothing can be said: it limits what one kind of evidence can cost."""
SMALLEST_SPREAD = 0.5
"""Of the logarithm of a distance."""
CROWDING = 2.0
"""Power of the distance with which others are expected near an animal: 2 on a surface."""
_GRID = np.linspace(-9.0, 4.0, 261)


@dataclass(frozen=True, eq=False)
class LikelihoodRatio:
    """Cost of a distance: the logarithm of how much likelier it is between different animals.

    Attributes:
        table: Cost on a grid of logarithms of distances; it never falls.
    """

    table: Float[np.ndarray, " grid"]

    @classmethod
    def fit(cls, same: tuple[float, float], different: tuple[float, float], surprise: float) -> LikelihoodRatio:
        """Return the ratio for two normal distributions (mean, deviation) of the logarithm of the distance."""
        near = np.where(different[0] > _GRID, np.exp(CROWDING * (_GRID - different[0])) / different[1], 0.0)
        same_density, other_density = _density(same), np.maximum(_density(different), near)
        raw = np.log(other_density) - np.log((1 - surprise) * same_density + surprise * other_density)
        raw[same[0] > _GRID] = np.interp(same[0], _GRID, raw)  # nearer than usual is no worse
        return cls(np.maximum.accumulate(raw))

    def __call__(self, distances: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " pairs"]:
        """Return the cost of distances; 0 for NaN, of which nothing can be said."""
        logs = np.log(np.maximum(np.nan_to_num(distances, nan=1.0), 1e-6))
        return np.where(np.isnan(distances), 0.0, np.interp(logs, _GRID, self.table))


def _density(normal: tuple[float, float]) -> Float[np.ndarray, " grid"]:
    """Return a normal density on the grid, nowhere 0."""
    mean, deviation = normal
    return np.exp(-(((_GRID - mean) / deviation) ** 2) / 2) / deviation + 1e-30


@dataclass(frozen=True, eq=False)
class MotionEvidence:
    """Whether a stretch begins where another one, and how it lay and moved, lets expect it.

    Attributes:
        length: Body length, px.
        dampings: For each of `GAPS`, the frames for which a speed is believed.
        ratios: For each of `GAPS`, the cost of a distance in body lengths.
    """

    length: float
    dampings: Float[np.ndarray, " gaps"]
    ratios: tuple[LikelihoodRatio, ...]

    @classmethod
    def measure(cls, stretches: Sequence[Tracklet], length: float) -> MotionEvidence:
        """Learn from stretches of one video."""
        rng = np.random.default_rng(0)
        same, different = (np.log(0.05), 0.7), (np.log(2.5), 0.9)
        dampings, ratios, before = [], [], 1
        share = 1.0
        for gap in GAPS:
            cuts = _cuts(stretches, gap, rng)
            if len(cuts) >= FEWEST_SAMPLES:
                ends, starts = _cut_ends(cuts, gap)
                own = {s: residuals(ends, starts, np.full(len(cuts), s * gap)) / length for s in DAMPINGS}
                share = min(DAMPINGS, key=lambda s: float(np.nanmedian(own[s])))
                same = _normal(own[share])
                others = _others(stretches, cuts, gap, rng)
                if len(others) >= FEWEST_SAMPLES:
                    a = Ends.last([part for part, _ in others])
                    b = Ends.first([part for _, part in others])
                    different = _normal(residuals(a, b, np.full(len(others), share * gap)) / length)
            else:
                same = (min(same[0] + 0.6 * np.log(gap / before), different[0]), same[1])
            dampings.append(share * gap)
            ratios.append(LikelihoodRatio.fit(same, different, SURPRISE))
            before = gap
        return cls(length, np.array(dampings), tuple(ratios))

    def __call__(self, a: Ends, b: Ends) -> Float[np.ndarray, " pairs"]:
        """Return the cost of linking ends `a` to beginnings `b`, pair by pair."""
        gaps = b.frames - a.frames
        nearest = np.abs(np.log(np.maximum(gaps, 1))[:, None] - np.log(GAPS)).argmin(axis=1)
        damping = self.dampings[nearest] * np.minimum(gaps / np.array(GAPS)[nearest], 1.2)
        distances = residuals(a, b, damping) / self.length
        costs = np.zeros(len(gaps))
        for index in np.unique(nearest):
            rows = nearest == index
            costs[rows] = self.ratios[index](distances[rows])
        return costs


Cut = tuple[Tracklet, int]
"""A stretch, and the position of the last frame before an imagined gap."""


def _cuts(stretches: Sequence[Tracklet], gap: int, rng: np.random.Generator) -> list[Cut]:
    """Return places where a gap could be made in stretches without gaps of their own."""
    room = np.array([max(0, len(stretch) - gap - 2 * WINDOW) for stretch in stretches], np.int64)
    if not room.sum():
        return []
    count = int(min(SAMPLES, room.sum()))
    chosen = rng.choice(len(stretches), count, p=room / room.sum()).tolist()
    places = [(stretches[i], WINDOW + int(rng.integers(room[i] + 1))) for i in chosen]
    return [(s, p) for s, p in places if s.frames[p + gap] - s.frames[p] == gap]


def _cut_ends(cuts: Sequence[Cut], gap: int) -> tuple[Ends, Ends]:
    """Return both sides of gaps."""
    before = [stretch.part(place - WINDOW + 1, place + 1) for stretch, place in cuts]
    after = [stretch.part(place + gap, place + gap + WINDOW) for stretch, place in cuts]
    return Ends.last(before), Ends.first(after)


def _others(
    stretches: Sequence[Tracklet], cuts: Sequence[Cut], gap: int, rng: np.random.Generator
) -> list[tuple[Tracklet, Tracklet]]:
    """Return what comes before each gap, with what some other animal does after it."""
    starts = np.array([stretch.frames[0] for stretch in stretches])
    stops = np.array([stretch.frames[-1] for stretch in stretches])
    found = []
    for stretch, place in cuts:
        frame = stretch.frames[place + gap]
        present = np.flatnonzero((starts <= frame) & (stops >= frame + WINDOW)).tolist()
        candidates = [i for i in present if stretches[i] is not stretch]
        if candidates:
            other = stretches[candidates[int(rng.integers(len(candidates)))]]
            row = int(np.searchsorted(other.frames, frame))
            found.append((stretch.part(place - WINDOW + 1, place + 1), other.part(row, row + WINDOW)))
    return found


@dataclass(frozen=True, eq=False)
class SightEvidence:
    """Whether a stretch shows the same nodes as one that ends in the frame before.

    Of two animals that lie on each other, the upper one shows other nodes than the lower one, frame after frame.

    Attributes:
        table: Cost of 0, 1, ... nodes that are seen in one of the two frames only.
    """

    table: Float[np.ndarray, " numbers"]

    UNSEEN = 1.0
    """Added to the count of every number of changes, so that what was never seen is not impossible."""

    @classmethod
    def measure(cls, stretches: Sequence[Tracklet]) -> SightEvidence | None:
        """Learn from stretches of one video; None where there is too little to learn from."""
        rng = np.random.default_rng(0)
        cuts = _cuts(stretches, 1, rng)
        others = _others(stretches, cuts, 1, rng)
        if min(len(cuts), len(others)) < FEWEST_SAMPLES:
            return None
        ends, starts = _cut_ends(cuts, 1)
        same = cls._changes(ends, starts)
        different = cls._changes(Ends.last([part for part, _ in others]), Ends.first([part for _, part in others]))
        counts = [np.bincount(n, minlength=ends.visible.shape[1] + 1) + cls.UNSEEN for n in (same, different)]
        own, other = (count / count.sum() for count in counts)
        return cls(np.maximum.accumulate(np.log(other) - np.log(own)))

    def __call__(self, a: Ends, b: Ends) -> Float[np.ndarray, " pairs"]:
        """Return the cost of linking ends `a` to beginnings `b` in the frame after, pair by pair."""
        return self.table[self._changes(a, b)]

    @staticmethod
    def _changes(a: Ends, b: Ends) -> Int[np.ndarray, " pairs"]:
        """Return how many nodes are seen on one side only, pair by pair."""
        return (a.visible != b.visible).sum(axis=1)


def _normal(distances: np.ndarray) -> tuple[float, float]:
    """Return mean and deviation of the logarithm, by quantiles: the worst of samples are often errors."""
    logs = np.log(np.maximum(distances[~np.isnan(distances)], 1e-6))
    if not len(logs):
        return float(np.log(0.05)), 0.7
    low, middle, high = np.quantile(logs, [0.16, 0.5, 0.84])
    return float(middle), float(max(high - middle, middle - low, SMALLEST_SPREAD))


@dataclass(frozen=True, eq=False)
class Descriptions:
    """What describes the instances of stretches, such as the proportions of their bodies.

    Attributes:
        values: (R, D) a row an instance; NaN where unknown.
        rows: The rows of each stretch, in the order of its frames.
        starts: First frame of each stretch.
    """

    values: Float[np.ndarray, "instances features"]
    rows: Sequence[Int[np.ndarray, " frames"]]
    starts: Int[np.ndarray, " stretches"]

    def means(self) -> Float[np.ndarray, "stretches features"]:
        """Return the mean of what is known of each stretch, NaN where nothing is."""
        bounds = np.cumsum([0, *(len(rows) for rows in self.rows)])[:-1]
        rows = np.concatenate(self.rows)
        means = np.full((len(self.rows), self.values.shape[1]), np.nan)
        for column in range(self.values.shape[1]):  # one at a time: a long video has many instances
            values = self.values[rows, column].astype(np.float64)
            known = ~np.isnan(values)
            counts = np.add.reduceat(known.astype(np.int64), bounds)
            sums = np.add.reduceat(np.where(known, values, 0.0), bounds)
            np.divide(sums, counts, out=means[:, column], where=counts > 0)
        return means


@dataclass(frozen=True, eq=False)
class LookEvidence:
    """Whether the averages of a description of the animals over two stretches may be of one animal.

    Attributes:
        ratios: For each of `LENGTHS`, the cost of a distance.
        scale: (D,) deviation of every number of the description within a stretch.
    """

    ratios: tuple[LikelihoodRatio, ...]
    scale: Float[np.ndarray, " features"]

    LENGTHS = (1, 3, 10, 30, 100)
    """Frames of the shorter of two stretches for which distances are measured."""
    SURPRISE = 0.02
    SAMPLED_STRETCHES, SAMPLED_FRAMES = 200, 500
    """Stretches, and frames of each, that the deviation within stretches is measured on."""

    @classmethod
    def measure(cls, descriptions: Descriptions) -> LookEvidence | None:
        """Learn from the descriptions of stretches; None where there is too little to learn from."""
        lengths = np.array([len(rows) for rows in descriptions.rows])
        long = np.argsort(-lengths, kind="stable")[: cls.SAMPLED_STRETCHES]
        long = long[lengths[long] >= 2 * cls.LENGTHS[1]]
        if len(long) < 2:
            return None
        deviations = np.stack([_nan_std(descriptions.values[descriptions.rows[i][: cls.SAMPLED_FRAMES]]) for i in long])
        scale = _nan_mean(deviations)
        scale = np.where(scale > 0, scale, np.inf)  # NaN is not above 0
        rng = np.random.default_rng(0)
        ratios: list[LikelihoodRatio] = []
        neutral = LikelihoodRatio(np.zeros(len(_GRID)))
        for size in cls.LENGTHS:
            same, different = _sampled(descriptions, lengths, size, scale, rng)
            if min(len(same), len(different)) >= FEWEST_SAMPLES:
                ratios.append(LikelihoodRatio.fit(_normal(same), _normal(different), cls.SURPRISE))
            else:
                ratios.append(ratios[-1] if ratios else neutral)
        return cls(tuple(ratios), scale)

    def __call__(
        self,
        a: Float[np.ndarray, "pairs features"],
        b: Float[np.ndarray, "pairs features"],
        lengths: Int[np.ndarray, " pairs"],
    ) -> Float[np.ndarray, " pairs"]:
        """Return the cost of linking stretches with these averages, pair by pair.

        Args:
            a: Averages over the earlier stretches.
            b: Averages over the later ones.
            lengths: Frames of the shorter one of each pair.
        """
        distances = _distance(a, b, self.scale)
        nearest = np.abs(np.log(np.maximum(lengths, 1))[:, None] - np.log(self.LENGTHS)).argmin(axis=1)
        costs = np.zeros(len(lengths))
        for index in np.unique(nearest):
            rows = nearest == index
            costs[rows] = self.ratios[index](distances[rows])
        return costs


def _sampled(
    descriptions: Descriptions, lengths: np.ndarray, size: int, scale: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances between windows of one stretch, and of stretches that are seen at the same time."""
    eligible = np.flatnonzero(lengths >= 2 * size)
    if not len(eligible):
        return np.zeros(0), np.zeros(0)
    starts, stops = descriptions.starts, descriptions.starts + lengths
    chosen = rng.choice(eligible, SAMPLES, p=lengths[eligible] / lengths[eligible].sum())
    first = rng.integers(lengths[chosen] - 2 * size + 1)
    second = rng.integers(first + size, lengths[chosen] - size + 1)
    here = _windows(descriptions, chosen, first, size)
    same = _distance(here, _windows(descriptions, chosen, second, size), scale)
    others = np.full(SAMPLES, -1)
    for sample, i in enumerate(chosen):
        present = eligible[(starts[eligible] < stops[i]) & (stops[eligible] > starts[i]) & (eligible != i)]
        if len(present):
            others[sample] = rng.choice(present)
    met = others >= 0
    places = rng.integers(lengths[others[met]] - size + 1)
    return same, _distance(here[met], _windows(descriptions, others[met], places, size), scale)


def _windows(
    descriptions: Descriptions, stretches: Int[np.ndarray, " windows"], places: Int[np.ndarray, " windows"], size: int
) -> Float[np.ndarray, "windows features"]:
    """Return the mean over so many frames of stretches, from places in them on; NaN where nothing is known."""
    rows = [descriptions.rows[stretch][place : place + size] for stretch, place in zip(stretches, places, strict=True)]
    if not rows:
        return np.zeros((0, descriptions.values.shape[1]))
    return _nan_mean(descriptions.values[np.stack(rows, axis=1)])


def _nan_mean(rows: np.ndarray) -> np.ndarray:
    """Return the mean of the rows where known, NaN where none is."""
    known = ~np.isnan(rows)
    counts = known.sum(axis=0)
    sums = np.where(known, rows, 0.0).sum(axis=0, dtype=np.float64)
    return np.divide(sums, counts, out=np.full(rows.shape[1:], np.nan), where=counts > 0)


def _nan_std(rows: np.ndarray) -> np.ndarray:
    """Return the deviation of the rows where known, NaN where none is."""
    return np.sqrt(_nan_mean((rows - _nan_mean(rows)) ** 2))


def _distance(a: np.ndarray, b: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the root mean square difference of what both know, in deviations; NaN if that is nothing."""
    squared = ((a - b) / scale) ** 2
    known = ~np.isnan(squared)
    counts = known.sum(axis=-1)
    sums = np.where(known, squared, 0.0).sum(axis=-1)
    return np.sqrt(np.divide(sums, counts, out=np.full(np.shape(counts), np.nan), where=counts > 0))
