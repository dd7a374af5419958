"""Where tasks run: processes of this machine, or a Ray cluster; they may finish in any order."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, TypeVar

ENGINES = ("local", "ray")
_IN_FLIGHT_PER_WORKER = 4  # so that memory does not grow with the corpus
_RAY_RETRIES = 5  # of a task whose node or process died; a task that kills its process every time must end some day

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Engine:
    """Where and how wide tasks run.

    Attributes:
        name: `local` is a pool of processes, `ray` a Ray cluster.
        num_workers: Processes of the pool; for Ray the most tasks at a time. `None` is every core there is.
        address: Address of the Ray cluster, such as `10.0.0.1:6379` or `auto`; `None` starts one on this machine. Every
            node needs the project installed and sees the corpus and the output folder under the same paths.
        start_method: How processes of the pool begin: `fork` is quick; `spawn` is for tasks that compute with threads
            or a GPU, which do not survive a fork.
        task_cores: Cores that a task keeps busy, for Ray to count.
        task_gpus: GPUs of a task, for Ray to hand out.

    Raises:
        ValueError: An unknown engine, or a number of workers below 1.
    """

    name: str = "local"
    num_workers: int | None = None
    address: str | None = None
    start_method: str = "fork"
    task_cores: int = 1
    task_gpus: int = 0

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ValueError(f"engine={self.name}: unknown engine; choose one of: {', '.join(ENGINES)}")
        workers = self.num_workers
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise ValueError(f"num_workers={workers}: expected a whole number from 1, or null")
        if self.address and self.name == "local":
            raise ValueError(f"address={self.address}: only engine=ray has an address")

    def run(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Apply a function of this project to every task; yield the results as they come.

        Raises:
            OSError: A process or node died and could not be made up for, or Ray is missing or not reachable.
        """
        if self.name == "ray":
            return _run_on_ray(function, tasks, self)
        workers = self.num_workers or count_cores()
        return map(function, tasks) if workers == 1 else _run_in_pool(function, tasks, workers, self.start_method)


def run_in_order(engine: Engine, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Apply a function to every task and yield the results in the order of the tasks."""
    early: dict[int, Result] = {}
    turn = 0
    for index, result in engine.run(_Numbered(function), enumerate(tasks)):
        early[index] = result
        while turn in early:
            yield early.pop(turn)
            turn += 1


def count_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Numbered:
    """A function of (number, task) that hands the number through; a class, because workers must unpickle it."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, numbered: tuple[int, Any]) -> tuple[int, Any]:
        number, task = numbered
        return number, self.function(task)


def _run_in_pool(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int, start_method: str
) -> Iterator[Result]:
    pool = ProcessPoolExecutor(workers, get_context(start_method), _start_worker, (os.getpid(),))
    pending: set[Future[Result]] = set()
    try:
        for task in tasks:
            pending.add(pool.submit(function, task))
            if len(pending) >= _IN_FLIGHT_PER_WORKER * workers:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool as error:
        raise OSError(
            "a worker process was killed, perhaps for want of memory; finished shards are kept: "
            f"the same command goes on from there, with fewer workers than {workers} if it happens again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(parent: int) -> None:
    os.setsid()  # Ctrl-C is the parent's to handle; it must not cut short a sox at work
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    """End a worker whose parent was killed: it would otherwise wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _run_on_ray(function: Callable[[Task], Result], tasks: Iterable[Task], engine: Engine) -> Iterator[Result]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # an extra, and seconds to import
    except ImportError as error:
        raise OSError("engine=ray: Ray is not installed; run: pip install -c constraints.txt 'ray'") from error
    workers = engine.num_workers
    if engine.address:
        ray.init(address=engine.address, log_to_driver=False, logging_level=logging.ERROR)
    else:
        options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        ray.init(address="local", num_cpus=(workers or count_cores()) * engine.task_cores, **options)
    remote = ray.remote(num_cpus=engine.task_cores, num_gpus=engine.task_gpus, max_retries=_RAY_RETRIES)(function)
    pending: list[Any] = []
    try:
        for task in tasks:
            pending.append(remote.remote(task))
            limit = workers or _IN_FLIGHT_PER_WORKER * max(
                1, int(ray.cluster_resources().get("CPU", 1)) // engine.task_cores
            )
            while len(pending) >= limit:
                done, pending = ray.wait(pending)
                yield from ray.get(done)
        while pending:
            done, pending = ray.wait(pending)
            yield from ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error  # what the task itself raised
    except ray.exceptions.RayError as error:
        raise OSError(
            f"engine=ray: a task was lost {_RAY_RETRIES + 1} times ({type(error).__name__}); "
            "finished shards are kept: see to the cluster and run again"
        ) from error
    finally:
        ray.shutdown()
