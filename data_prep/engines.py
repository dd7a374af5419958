"""Runs tasks in a pool of processes or on a Ray cluster; tasks may finish in any order."""

import gc
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

from data_prep.arguments import require_choice, require_int

ENGINES = ("local", "ray")
_IN_FLIGHT_PER_WORKER = 4  # so that memory does not grow with the corpus
_RAY_RETRIES = 5  # of a task whose node or process died; a task that kills its process each time must end at some point

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Engine:
    """A pool of processes or a Ray cluster that runs tasks.

    Attributes:
        name: `local` for a pool of processes, `ray` for a Ray cluster.
        num_workers: Number of processes; for Ray, the largest number of tasks at a time. `None` uses every core.
        address: Address of the Ray cluster, such as `10.0.0.1:6379` or `auto`; `None` starts one here. Every node
            needs the project installed, and the corpus and the output folder under the same paths.
        start_method: How the pool's processes start: `fork` is fast; `spawn` is for tasks that compute with threads or
            a GPU, which do not work after a fork.
        task_cores: Number of cores that a task uses; Ray reserves them.
        task_gpus: Number of GPUs that a task uses; Ray reserves them.

    Raises:
        ValueError: The engine is unknown, or the number of workers is below 1.
    """

    name: str = "local"
    num_workers: int | None = None
    address: str | None = None
    start_method: str = "fork"
    task_cores: int = 1
    task_gpus: int = 0

    def __post_init__(self) -> None:
        require_choice("engine", self.name, ENGINES)
        require_int("num_workers", self.num_workers, least=1, optional=True)
        if self.address and self.name == "local":
            raise ValueError(f"address={self.address}: expected null with engine=local; set engine=ray")

    def run(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Apply a function of this project to every task; yield the results in the order in which they are ready.

        Raises:
            OSError: A process died, or a node died and all retries failed, or Ray is missing or not reachable.
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
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Numbered:
    """A function of (number, task) that returns the number with the result; a class, because workers unpickle it."""

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
            "a worker process was killed, probably because the machine was out of memory; finished parts are kept; "
            f"run the same command again to continue, with num_workers below {workers} if this happens again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(parent: int) -> None:
    # The parent's garbage stays: its end may wait for a thread that a fork does not copy (onnxruntime's sessions do).
    gc.freeze()
    os.setsid()  # only the parent handles Ctrl-C; it must not stop a running sox
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    """End a worker whose parent was killed; without this it would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _run_on_ray(function: Callable[[Task], Result], tasks: Iterable[Task], engine: Engine) -> Iterator[Result]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # an optional dependency that takes seconds to import
    except ImportError as error:
        raise OSError("engine=ray: expected Ray to be installed; run: pip install -c constraints.txt 'ray'") from error
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
        raise error.cause from error  # the exception that the task raised
    except ray.exceptions.RayError as error:
        raise OSError(
            f"engine=ray: a task was lost {_RAY_RETRIES + 1} times ({type(error).__name__}); "
            "finished parts are kept; repair the cluster and run the same command again to continue"
        ) from error
    finally:
        ray.shutdown()
