"""The training data as an endless stream of numbered batches that can start anywhere.

Lhotse's loader restarts the data at each of Lightning's epochs: on a large corpus, training would only ever see the
front, and a resumed run would repeat its batches. Here the end of an epoch changes nothing, each pass over the data has
a new order, and the randomness in a batch (augmentation) depends only on the seed and the batch's number. The stream is
the same for any number of workers.
"""

import copy
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lhotse import CutSet
from lhotse.cut import Cut
from lhotse.cut.set import LazyCutMixer
from lhotse.dataset.sampling.base import CutSampler
from omegaconf import DictConfig, open_dict
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from nemo_models.training_data.seeding import seeded
from nemo_models.training_data.utterance_names import describe_utterances, is_readable, name_cut, name_lost

MAX_UNREADABLE_BATCHES = 100  # unreadable batches in a row that end the training
MAX_SEARCHED_ITEMS = 1000  # longer lists hold cuts, not parts of a sampler


class StreamPosition(NamedTuple):
    """The position of a batch in the stream.

    Attributes:
        number: Batches before it since training began.
        pass_number: Complete passes over the data before it.
        number_in_pass: Batches before it in its pass.
    """

    number: int = 0
    pass_number: int = 0
    number_in_pass: int = 0

    def following(self) -> "StreamPosition":
        """Return the position after this batch."""
        return StreamPosition(self.number + 1, self.pass_number, self.number_in_pass + 1)


class BatchInfo(NamedTuple):
    """Facts about a batch besides its tensors, with which errors name its utterances.

    Attributes:
        position: Position in the stream.
        names: Name of each utterance, in the order of the tensors' rows: the audio file, with the start of a segment.
        seconds: Seconds of audio of each utterance.
        lost: Names of the utterances that were left out because their audio is unreadable.
    """

    position: StreamPosition
    names: list[str]
    seconds: list[float]
    lost: list[str]


class TrainingStream:
    """The iterable that Lightning's trainer reads: Lhotse's batches, each with a `BatchInfo` as its fifth element.

    Args:
        loader: Data loader that NeMo's ASR models make with `use_lhotse`.
        seed: Seed of the randomness in a batch.
        rank: Rank of this process.
    """

    def __init__(self, loader: DataLoader, seed: int, rank: int) -> None:
        self._seed, self._rank = seed, rank
        self._start = StreamPosition()
        self._batches: Iterator[Any] | None = None
        self._keep_reader: weakref.finalize | None = None
        self._is_iterable = isinstance(loader.dataset, IterableDataset)  # tarred or Shar data, read in the workers
        if self._is_iterable:
            reader: Any = loader.dataset
            reader.dataset = DatasetWithInfo(reader.dataset, seed, rank)
            self._loader = loader
        else:
            assert isinstance(loader.sampler, CutSampler)
            self._sampler = EndlessSampler(loader.sampler)
            self._loader = DataLoader(
                DatasetWithInfo(loader.dataset, seed, rank),
                sampler=self._sampler,
                batch_size=None,
                num_workers=loader.num_workers,
                pin_memory=loader.pin_memory,
            )

    @property
    def readers(self) -> int | None:
        """Number of processes that share tarred or Shar data, which fixes their order; `None` for manifests."""
        return self._loader.num_workers if self._is_iterable else None

    def start_at(self, position: StreamPosition) -> None:
        """Start at a position other than the beginning.

        Earlier passes cost nothing; earlier batches of the same pass cost the reading of their descriptions. Tarred and
        Shar data have no passes: the audio of all earlier batches is read again.
        """
        self._start = position
        self._batches = None
        if self._keep_reader is not None:
            self._keep_reader.detach()

    def __iter__(self) -> Iterator[Any]:
        """Continue the stream where it was left."""
        if self._batches is None:
            self._batches = self._number() if self._is_iterable else self._seek()
        return self._batches

    def _seek(self) -> Iterator[Any]:
        self._sampler.start = self._start
        return skip_unreadable_batches(self._open_reader())

    def _open_reader(self) -> Iterator[Any]:
        """Iterate over the loader, and keep the iterator until this object is deleted.

        A model and its stream refer to each other, and Python deletes such objects together: it closes the queues of
        the worker processes before torch's iterator can send the end through them, and torch then waits 5 s for each.
        """
        reader = iter(self._loader)
        self._keep_reader = weakref.finalize(self, lambda _: None, reader)
        return reader

    def _number(self) -> Iterator[Any]:
        return skip_unreadable_batches(self._number_all())

    def _number_all(self) -> Iterator[Any]:
        batches, number = self._open_reader(), 0
        while True:
            with seeded(self._seed, self._rank, number):  # without workers, this process reads the audio here
                *tensors, info = next(batches)
            if number >= self._start.number:
                yield *tensors, info._replace(position=StreamPosition(number, 0, number))
            number += 1


class EndlessSampler(Sampler):
    """Repeats the passes of a Lhotse sampler and yields each batch of cuts with its position.

    Args:
        sampler: Sampler whose batches are one pass for this process. Each pass uses a copy, so that no pass depends on
            the passes before it.

    Raises:
        ValueError: A pass has no batch (raised during iteration).
    """

    def __init__(self, sampler: CutSampler) -> None:
        self.start = StreamPosition()
        self._sampler = sampler

    def __iter__(self) -> Iterator[tuple[StreamPosition, CutSet]]:
        position = self.start
        while True:
            one_pass = copy.deepcopy(self._sampler)
            one_pass.set_epoch(position.pass_number)
            for mixer in find_mixers(one_pass):
                mixer.num_times_iterated = position.pass_number  # seeds the noises; the copy starts at 0
            at = -1
            for at, cuts in enumerate(one_pass):
                if at >= position.number_in_pass:
                    yield position, cuts
                    position = position.following()
            if at < 0:
                raise ValueError(
                    "model.train_ds: found no batch, expected utterances between min_duration and max_duration; "
                    "change these limits or the manifest"
                )
            position = StreamPosition(position.number, position.pass_number + 1, 0)


class DatasetWithInfo(Dataset):
    """A Lhotse dataset of NeMo's that adds a `BatchInfo` to each batch and seeds each batch by its position.

    Args:
        dataset: NeMo's `LhotseSpeechToTextBpeDataset`.
        seed: Seed of the randomness in a batch.
        rank: Rank of this process.
    """

    def __init__(self, dataset: Any, seed: int, rank: int) -> None:
        dataset.return_cuts = True
        self._dataset, self._seed, self._rank = dataset, seed, rank

    def __getitem__(self, wanted: tuple[StreamPosition, CutSet] | CutSet) -> tuple[Any, ...]:
        if isinstance(wanted, tuple):
            position, cuts = wanted
            with seeded(self._seed, self._rank, position.number):
                *tensors, kept = self._read(cuts)
        else:  # in a worker that reads tars: the stream sets the position later
            position, cuts = StreamPosition(), wanted
            *tensors, kept = self._read(cuts)
        given = {cut.id: cut for cut in cuts}
        read = [given[cut.id] for cut in kept]  # the returned cuts are padded to the longest
        lost = [name_lost(cut) for name, cut in given.items() if name not in {cut.id for cut in kept}]
        info = BatchInfo(position, [name_cut(cut) for cut in read], [cut.duration for cut in read], lost)
        return *tensors, info

    def _read(self, cuts: CutSet) -> tuple[Any, ...]:
        """Return the batch's tensors and its readable cuts; no tensors if no cut is readable, where Lhotse raises."""
        try:
            return self._dataset[cuts]
        except ValueError:
            if any(map(is_readable, cuts)):
                raise
            return ([],)


def skip_unreadable_batches(batches: Iterator[Any]) -> Iterator[Any]:
    """Leave out batches without any readable audio; the next batch's info names their utterances too.

    Raises:
        ValueError: `MAX_UNREADABLE_BATCHES` batches in a row are unreadable.
    """
    lost: list[str] = []
    unreadable = 0
    for *tensors, info in batches:
        lost += info.lost
        if tensors:
            yield *tensors, info._replace(lost=lost)
            lost, unreadable = [], 0
            continue
        unreadable += 1
        if unreadable == MAX_UNREADABLE_BATCHES:
            raise ValueError(
                f"model.train_ds: found no readable audio in {unreadable} batches in a row "
                f"({describe_utterances(lost)}); scripts/check_manifest.py says what is wrong with it"
            )


def find_mixers(part: Any) -> Iterator[LazyCutMixer]:
    """Find the objects that mix noise into a sampler's cuts, at any depth."""
    if isinstance(part, LazyCutMixer):
        yield part
    if isinstance(part, (list, tuple)):
        inner: Iterable[Any] = part if len(part) < MAX_SEARCHED_ITEMS else ()
    elif type(part).__module__.startswith(("lhotse.", "nemo.")) and not isinstance(part, Cut):
        inner = [value for name, value in getattr(part, "__dict__", {}).items() if name != "mix_in_cuts"]
    else:
        return
    for value in inner:
        yield from find_mixers(value)


def set_lhotse_defaults(config: DictConfig, rank: int) -> None:
    """Set what Lhotse's loader needs and a configuration may leave out.

    Each reader of tarred or Shar data gets a different order: with a number as `shard_seed`, all would have the same
    one. Buckets are filled without a thread, because the thread would outlive the training. Joined utterances keep
    their loudness.

    Args:
        config: `train_ds`, changed in place.
        rank: Rank of this process.
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
