"""PARE-Net: registration at low overlap by features that turn with the cloud (Yao et al., ECCV 2024)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from eqcli.graph.pair_batch import PairBatch, PairTruth
from eqcli.graph.points.pyramid import Pyramid
from eqcli.graph.segments import segment_counts
from eqcli.models.pointcloud.base import Described, MatchedPoints, RegistrationNetwork
from eqcli.models.pointcloud.configs.pare_net import PareNetConfig
from eqcli.models.pointcloud.pare_encoder import HISTOGRAM, PareEncoder
from eqcli.models.pointcloud.pare_losses import (
    circle_loss,
    hypothesis_loss,
    patch_loss,
    points_loss,
    rotation_loss,
    unit_norm,
)
from eqcli.models.pointcloud.pare_matching import (
    best_pairs,
    cloud_matches,
    match_rotations,
    patch_log_likelihood,
    patches,
    point_matches,
    superpoint_scores,
)
from eqcli.nn.geometric_attention import GeometricTransformer
from eqcli.nn.vector_neurons import InvariantHead, VectorLinear

TRAINED_PATCHES = 96
"""Overlapping pairs of superpoints whose patches are matched in a step of training, at most."""

SHARPNESS = 10.0
"""What cosines of fine features are multiplied with before they compete, at the start of training."""

HISTOGRAM_WEIGHT = 3.0
"""Roots of shares are small numbers beside the invariants of vectors of length 1."""

PATCH_WEIGHT = 5.0
"""The same holds for means of unit features."""

COMPARED = 256
"""True matches whose features compete over whole clouds, at most."""

CONTRASTED = 512
"""Pairs of points that vector features are contrasted for, at most, of either kind."""


@dataclass(frozen=True)
class Side:
    """One cloud of a pair, with its features."""

    points: Tensor
    centres: Tensor
    owner: Tensor
    features: Tensor
    open: Tensor
    superpoints: Tensor
    encoded: Tensor
    decoded: Tensor


class PareNet(RegistrationNetwork):
    """Position-aware rotation-equivariant convolutions, an invariant head, coarse-to-fine matching.

    Every match gives a rotation of its own, from vector features of its two points.
    """

    config: PareNetConfig

    def __init__(self, config: PareNetConfig) -> None:
        super().__init__(config)
        fine, coarse = config.channels[config.fine_level], config.channels[-1]
        self.encoder = PareEncoder(config)
        known = HISTOGRAM if config.histogram_radius is not None else 0
        self.fine_invariants, self.coarse_invariants = (InvariantHead(c, config.slope) for c in (fine, coarse))
        self.fine_head = nn.Linear(InvariantHead.size(fine) + known, config.features)
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS).log())
        self.open_head = nn.Linear(config.features, 1)
        settings = config.transformer
        self.transformer = GeometricTransformer(
            InvariantHead.size(coarse) + known + config.features,
            settings.channels,
            settings.heads,
            settings.blocks,
            settings.distance,
            settings.angle,
            settings.triplets,
        )
        self.encoder_vectors = VectorLinear(fine, config.vectors)
        self.decoder_vectors = VectorLinear(fine, config.vectors)

    def _described(self, cloud: Pyramid) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        encoded, decoded = self.encoder(cloud)
        vectors = {
            "encoder": unit_norm(self.encoder_vectors(encoded[self.config.fine_level])),
            "decoder": unit_norm(self.decoder_vectors(decoded)),
        }
        fine = _beside(self.fine_invariants(decoded), cloud.fine.histograms)
        unit = torch.nn.functional.normalize(self.fine_head(fine), dim=1)
        coarse = _beside(self.coarse_invariants(encoded[-1]), cloud.coarse.histograms)
        coarse = torch.cat([coarse, PATCH_WEIGHT * patch_means(unit, cloud)], dim=1)
        return unit * (0.5 * self.sharpness).exp(), vectors, coarse

    def _sides(self, batch: PairBatch) -> list[tuple[Side, Side]]:
        """Source and target of each pair. Superpoints of the two know of each other."""
        source, target = self._parts(batch.source), self._parts(batch.target)
        pairs = []
        for one, other in zip(source, target, strict=True):
            first, second = self.transformer(one.superpoints, other.superpoints, one.centres, other.centres)
            unit = torch.nn.functional.normalize
            pairs.append(
                (replace(one, superpoints=unit(first, dim=1)), replace(other, superpoints=unit(second, dim=1)))
            )
        return pairs

    def _parts(self, cloud: Pyramid) -> list[Side]:
        features, vectors, coarse = self._described(cloud)
        fine, last = cloud.fine.counts.tolist(), cloud.coarse.counts.tolist()
        of_fine = (
            x.split(fine)
            for x in (
                cloud.fine.points,
                cloud.patch,
                features,
                self.open_head(features)[:, 0],
                vectors["encoder"],
                vectors["decoder"],
            )
        )
        parts = []
        for points, owner, feature, open_, encoded, decoded, centres, start, above in zip(
            *of_fine, cloud.coarse.points.split(last), cloud.coarse.starts, coarse.split(last), strict=True
        ):
            parts.append(Side(points, centres, owner - start, feature, open_, above, encoded, decoded))
        return parts

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        assert batch.truth is not None
        terms: dict[str, list[Tensor]] = {name: [] for name in ("coarse", "fine", "points", "rotation", "hypothesis")}
        for sides, truth in zip(self._sides(batch), split_truth(batch), strict=True):
            overlaps = truth.overlaps.new_zeros(len(sides[0].centres), len(sides[1].centres))
            overlaps[truth.superpoints[0], truth.superpoints[1]] = truth.overlaps
            terms["coarse"].append(circle_loss(sides[0].superpoints, sides[1].superpoints, overlaps))
            terms["fine"].append(self._patch_loss(sides, truth))
            terms["points"].append(self._points_loss(sides, truth))
            for name, term in zip(("rotation", "hypothesis"), self._vector_losses(sides, truth), strict=True):
                terms[name].append(term)
        means = {name: torch.stack(values).mean() for name, values in terms.items()}
        weights = self.config.weights
        loss = sum((getattr(weights, name) * mean for name, mean in means.items()), means["coarse"].new_zeros(()))
        return {"loss": loss, **means}

    def _patch_loss(self, sides: tuple[Side, Side], truth: PairTruth) -> Tensor:
        chosen = evenly(truth.superpoints[:, truth.overlaps > 0], TRAINED_PATCHES)
        if not chosen.shape[1]:
            return sides[0].features.sum() * 0.0
        index, real = self._patches(sides, chosen.T)
        moved = sides[0].points @ truth.rotation[0].T + truth.translation[0]
        distance = torch.cdist(moved[index[0]], sides[1].points[index[1]])
        features = tuple(side.features[i] for side, i in zip(sides, index, strict=True))
        open_ = tuple(side.open[i] for side, i in zip(sides, index, strict=True))
        return patch_loss(features, open_, real, distance, self.config.match_radius)  # type: ignore[arg-type]

    def _points_loss(self, sides: tuple[Side, Side], truth: PairTruth) -> Tensor:
        matches = evenly(truth.matches, COMPARED)
        first, second = sides
        return points_loss(first.features, second.features, second.points, matches, self.config.apart_radius)

    def _vector_losses(self, sides: tuple[Side, Side], truth: PairTruth) -> tuple[Tensor, Tensor]:
        """Contrast and hypotheses, means over encoded and decoded vectors."""
        matches = evenly(truth.matches, CONTRASTED)
        apart = _apart(sides, truth, self.config.apart_radius)
        contrasts, hypotheses = [], []
        for kind in ("encoded", "decoded"):
            vectors = getattr(sides[0], kind), getattr(sides[1], kind)
            contrasts.append(rotation_loss(*vectors, truth.rotation[0], matches, apart))
            if self.config.weights.hypothesis:
                hypotheses.append(hypothesis_loss(*vectors, truth.rotation[0], matches))
        none = [contrasts[0].new_zeros(())]
        return torch.stack(contrasts).mean(), torch.stack(hypotheses or none).mean()

    def _patches(self, sides: tuple[Side, Side], pairs: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Points of the patches of pairs of superpoints `[S, 2]`, and which entries are real, of either side."""
        made = [patches(side.points, side.centres, side.owner, self.config.patch) for side in sides]
        index, real = zip(
            *((index[pairs[:, k]], real[pairs[:, k]]) for k, (index, real) in enumerate(made)), strict=True
        )
        return index, real

    @torch.no_grad()
    def matches(self, batch: PairBatch) -> list[MatchedPoints]:
        return [self._match(sides) for sides in self._sides(batch)]

    def _match(self, sides: tuple[Side, Side]) -> MatchedPoints:
        config = self.config
        scores = superpoint_scores(sides[0].superpoints, sides[1].superpoints)
        pairs = best_pairs(scores, config.superpoint_matches)
        if config.matching == "patches":
            index, confidence = self._within_patches(sides, pairs)
        else:
            prior = scores[sides[0].owner][:, sides[1].owner] if config.matching == "both" else None
            index, confidence = cloud_matches(sides[0].features, sides[1].features, config.candidates, prior)
        index, confidence = index[: config.most_matches], confidence[: config.most_matches]
        kind = "encoded" if config.hypothesis_features == "encoder" else "decoded"
        vectors = [getattr(side, kind) for side in sides]
        rotations = match_rotations(vectors[0][index[:, 0]], vectors[1][index[:, 1]])
        described = [Described(s.points, s.features, v) for s, v in zip(sides, vectors, strict=True)]
        return MatchedPoints(described[0], described[1], index, confidence, rotations, pairs)

    def _within_patches(self, sides: tuple[Side, Side], pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Matches within pairs of patches `[S, 2]` and their likelihood."""
        index, real = self._patches(sides, pairs)
        features = [side.features[i] for side, i in zip(sides, index, strict=True)]
        open_ = [side.open[i] for side, i in zip(sides, index, strict=True)]
        likelihood = patch_log_likelihood(features[0], features[1], *real, open_[0], open_[1]).exp()
        return point_matches(likelihood, *index, self.config.candidates, self.config.confidence)


def patch_means(features: Tensor, cloud: Pyramid) -> Tensor:
    """Mean features of the fine points of each superpoint's patch, `[S, F]`; zero where a patch is empty."""
    sums = features.new_zeros(len(cloud.coarse.points), features.shape[1]).index_add(0, cloud.patch, features)
    counts = segment_counts(cloud.patch, len(sums)).clamp(min=1)
    return sums / counts.unsqueeze(1)


def _beside(invariants: Tensor, histograms: Tensor | None) -> Tensor:
    return invariants if histograms is None else torch.cat([invariants, HISTOGRAM_WEIGHT * histograms], dim=1)


def split_truth(batch: PairBatch) -> list[PairTruth]:
    """The truth of each pair, its points numbered from 0."""
    truth = batch.truth
    assert truth is not None
    starts = torch.stack([batch.source.fine.starts, batch.target.fine.starts])
    coarse = torch.stack([batch.source.coarse.starts, batch.target.coarse.starts])
    matches = truth.matches.split(truth.match_counts.tolist(), dim=1)
    superpoints = truth.superpoints.split(truth.superpoint_counts.tolist(), dim=1)
    overlaps = truth.overlaps.split(truth.superpoint_counts.tolist())
    return [
        PairTruth(
            truth.rotation[b : b + 1],
            truth.translation[b : b + 1],
            matches[b] - starts[:, b : b + 1],
            truth.match_counts[b : b + 1],
            superpoints[b] - coarse[:, b : b + 1],
            overlaps[b],
            truth.superpoint_counts[b : b + 1],
        )
        for b in range(len(batch))
    ]


def evenly(columns: Tensor, count: int) -> Tensor:
    """At most `count` columns, evenly among them: training repeats exactly without a random draw."""
    n = columns.shape[1]
    if n <= count:
        return columns
    return columns[:, torch.arange(count, device=columns.device) * n // count]


def _apart(sides: tuple[Side, Side], truth: PairTruth, radius: float) -> Tensor:
    """Points that lie far from each other in the true pose, `[2, K]`."""
    first = evenly(torch.arange(len(sides[0].points), device=truth.rotation.device)[None], CONTRASTED)[0]
    second = evenly(torch.arange(len(sides[1].points), device=truth.rotation.device)[None], CONTRASTED)[0]
    count = max(len(first), len(second))
    turn = torch.arange(count, device=first.device)
    # A stride coprime to most lengths pairs points all over the two clouds.
    first, second = first[turn % len(first)], second[(turn * 97 + 13) % len(second)]
    moved = sides[0].points[first] @ truth.rotation[0].T + truth.translation[0]
    far = (moved - sides[1].points[second]).norm(dim=1) > radius
    return torch.stack([first[far], second[far]])
