"""The training data as one endless stream of numbered batches that can begin anywhere and is the same for any workers.

Lhotse's loader begins the data anew at each of Lightning's epochs: of a large corpus only the front would ever be seen,
and a resumed run would see its batches again. Here an epoch's end changes nothing, each pass has an order of its own,
and what is random in a batch (augmentation) depends on the seed and the batch's number alone.
"""

import copy
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from lhotse import CutSet
from lhotse.cut import Cut
from lhotse.cut.set import LazyCutMixer
from lhotse.dataset.sampling.base import CutSampler
from omegaconf import DictConfig, open_dict
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from nemo_models.training_data.utterance_names import describe_utterances, is_readable, name_cut, name_lost

MOST_UNREAD = 100  # batches in a row of which nothing can be read, at which training ends
MOST_SOURCES = 1000  # of a sampler; longer lists are of cuts


class Place(NamedTuple):
    """Where in the stream a batch stands.

    Attributes:
        number: Batches before it since training began.
        round: Passes over the data before its own.
        at: Batches before it in its pass.
    """

    number: int = 0
    round: int = 0
    at: int = 0

    def following(self) -> "Place":
        """The place behind this batch."""
        return Place(self.number + 1, self.round, self.at + 1)


class BatchNote(NamedTuple):
    """What is known of a batch beside its tensors: enough to name its utterances when something is wrong with them.

    Attributes:
        place: In the stream.
        names: Of its utterances, in the order of the tensors' rows: the audio file, with the start of a segment.
        seconds: Of audio, for each.
        lost: Names of those left out because their audio could not be read.
    """

    place: Place
    names: list[str]
    seconds: list[float]
    lost: list[str]


class TrainingStream:
    """What Lightning's trainer iterates: Lhotse's batches, each with a `BatchNote` as its fifth element.

    Args:
        loader: As NeMo's ASR models make it with `use_lhotse`.
        seed: Of what is random in a batch.
        rank: Of this process.
    """

    def __init__(self, loader: DataLoader, seed: int, rank: int) -> None:
        self._seed, self._rank = seed, rank
        self._start = Place()
        self._batches: Iterator[Any] | None = None
        self._is_iterable = isinstance(loader.dataset, IterableDataset)  # tarred, Shar: read inside the workers
        if self._is_iterable:
            reader: Any = loader.dataset
            reader.dataset = NotedDataset(reader.dataset, seed, rank)
            self._loader = loader
        else:
            assert isinstance(loader.sampler, CutSampler)
            self._sampler = EndlessSampler(loader.sampler)
            self._loader = DataLoader(
                NotedDataset(loader.dataset, seed, rank),
                sampler=self._sampler,
                batch_size=None,
                num_workers=loader.num_workers,
                pin_memory=loader.pin_memory,
            )

    @property
    def readers(self) -> int | None:
        """Processes that tarred and Shar data are shared out to, on which their order depends; `None` of manifests."""
        return self._loader.num_workers if self._is_iterable else None

    def start_at(self, place: Place) -> None:
        """Begin at a place instead of the start.

        Passes before it cost nothing, those batches before it in its pass the reading of their descriptions; in tarred
        and Shar data, which have no passes, the audio of all batches before it is read again.
        """
        self._start = place
        self._batches = None

    def __iter__(self) -> Iterator[Any]:
        """Go on with the stream, wherever it is."""
        if self._batches is None:
            self._batches = self._number() if self._is_iterable else self._seek()
        return self._batches

    def _seek(self) -> Iterator[Any]:
        self._sampler.start = self._start
        return pass_over_unread(iter(self._loader))

    def _number(self) -> Iterator[Any]:
        return pass_over_unread(self._number_all())

    def _number_all(self) -> Iterator[Any]:
        batches, number = iter(self._loader), 0
        while True:
            with seeded(self._seed, self._rank, number):  # without workers the audio is read here
                *tensors, note = next(batches)
            if number >= self._start.number:
                yield *tensors, note._replace(place=Place(number, 0, number))
            number += 1


class EndlessSampler(Sampler):
    """Pass after pass over what a sampler of Lhotse's gives, each batch of cuts with its place.

    Args:
        sampler: Which batches one pass holds, for this process; a copy of it makes each pass, so that no pass depends
            on those before it.

    Raises:
        ValueError: While iterating: a pass holds no batch at all.
    """

    def __init__(self, sampler: CutSampler) -> None:
        self.start = Place()
        self._sampler = sampler

    def __iter__(self) -> Iterator[tuple[Place, CutSet]]:
        place = self.start
        while True:
            one_pass = copy.deepcopy(self._sampler)
            one_pass.set_epoch(place.round)
            for mixer in find_mixers(one_pass):
                mixer.num_times_iterated = place.round  # what draws its noises; the copy has forgotten
            at = -1
            for at, cuts in enumerate(one_pass):
                if at >= place.at:
                    yield place, cuts
                    place = place.following()
            if at < 0:
                raise ValueError("train_ds gives no batch: no utterance is within min_duration and max_duration")
            place = Place(place.number, place.round + 1, 0)


class NotedDataset(Dataset):
    """A Lhotse data set of NeMo's whose batches come with a `BatchNote`, their randomness tied to their place.

    Args:
        dataset: NeMo's `LhotseSpeechToTextBpeDataset`.
        seed: Of what is random in a batch.
        rank: Of this process.
    """

    def __init__(self, dataset: Any, seed: int, rank: int) -> None:
        dataset.return_cuts = True
        self._dataset, self._seed, self._rank = dataset, seed, rank

    def __getitem__(self, wanted: tuple[Place, CutSet] | CutSet) -> tuple[Any, ...]:
        if isinstance(wanted, tuple):
            place, cuts = wanted
            with seeded(self._seed, self._rank, place.number):
                *tensors, kept = self._read(cuts)
        else:  # inside a worker that reads tars: the stream knows the place
            place, cuts = Place(), wanted
            *tensors, kept = self._read(cuts)
        given = {cut.id: cut for cut in cuts}
        read = [given[cut.id] for cut in kept]  # those that come back are padded to the longest
        lost = [name_lost(cut) for name, cut in given.items() if name not in {cut.id for cut in kept}]
        note = BatchNote(place, [name_cut(cut) for cut in read], [cut.duration for cut in read], lost)
        return *tensors, note

    def _read(self, cuts: CutSet) -> tuple[Any, ...]:
        """The batch's tensors and the cuts that could be read; of none no tensors, where Lhotse fails."""
        try:
            return self._dataset[cuts]
        except ValueError:
            if any(map(is_readable, cuts)):
                raise
            return ([],)


def pass_over_unread(batches: Iterator[Any]) -> Iterator[Any]:
    """Leave out batches of which nothing could be read; the next note names their utterances too.

    Raises:
        ValueError: So it has been for `MOST_UNREAD` batches in a row.
    """
    lost: list[str] = []
    unread = 0
    for *tensors, note in batches:
        lost += note.lost
        if tensors:
            yield *tensors, note._replace(lost=lost)
            lost, unread = [], 0
            continue
        unread += 1
        if unread == MOST_UNREAD:
            raise ValueError(
                f"none of the audio of {unread} batches in a row can be read ({describe_utterances(lost)}); "
                "scripts/check_manifest.py tells what is wrong with it"
            )


def find_mixers(part: Any) -> Iterator[LazyCutMixer]:
    """Find what mixes noise into the cuts that a sampler reads, however deep it lies."""
    if isinstance(part, LazyCutMixer):
        yield part
    if isinstance(part, (list, tuple)):
        inner: Iterable[Any] = part if len(part) < MOST_SOURCES else ()
    elif type(part).__module__.startswith(("lhotse.", "nemo.")) and not isinstance(part, Cut):
        inner = [value for name, value in getattr(part, "__dict__", {}).items() if name != "mix_in_cuts"]
    else:
        return
    for value in inner:
        yield from find_mixers(value)


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """Seed Python's, numpy's and torch's random numbers (on the CPU) inside the block, and put them back behind it."""
    of_python, of_numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_all(*seed)
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)


def seed_all(*seed: int) -> int:
    """Seed Python's, numpy's and torch's random numbers with whole numbers from 0; gives the one they were mixed to."""
    mixed = int(np.random.SeedSequence(seed).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)
    torch.random.default_generator.manual_seed(mixed)
    return mixed


def settle_lhotse(config: DictConfig, rank: int) -> None:
    """Set what Lhotse's loader needs to be told and a configuration may leave open.

    Each reader of tarred or Shar data gets an order of its own: with a number as `shard_seed` all would have the same.
    Buckets are filled without a thread, which would outlive the training; utterances in a row keep their loudness.

    Args:
        config: `train_ds`, changed in place.
        rank: Of this process.
    """
    if not config.get("use_lhotse"):
        return
    with open_dict(config):
        config.setdefault("concurrent_bucketing", False)
        config.setdefault("db_norm", None)
    is_read_by_workers = config.get("tarred_audio_filepaths") or config.get("shar_path")
    if is_read_by_workers and isinstance(config.get("shard_seed"), int):
        with open_dict(config):
            config.seed = config.shard_seed
            config.shard_seed = "randomized" if config.get("num_workers") else config.shard_seed + rank
