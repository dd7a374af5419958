"""Replicas of the recogniser on Ray Serve: started, and stopped with the server."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nemo_models.serving.cluster_engine import LOST_S, ClusterEngine
from nemo_models.serving.cluster_options import ClusterOptions
from nemo_models.serving.engine_limits import EngineLimits
from nemo_models.serving.replica import LoadServed, ModelFacts, make_deployment

APPLICATION = "hindi-asr"
BESIDE = 64  # windows of live streams that a replica takes beside its recordings
HEALTH_S = 5.0  # between two looks at a replica, and until a silent one is lost


def start_replicas(
    load: LoadServed,
    options: ClusterOptions,
    limits: EngineLimits,
    temporary_dir: Path | None = None,
    lost_s: float = LOST_S,
) -> tuple[ClusterEngine, ModelFacts]:
    """Start the replicas, and wait until all are warm.

    Args:
        load: What loads the model of a replica; a function that its machine can import, or a `partial` of one.
        options: Where they run.
        limits: Limits of a replica; the server in front takes so much for each.
        temporary_dir: Folder for temporary files on each machine; `None`: the system's.
        lost_s: Seconds without any replica after which recordings fail.

    Raises:
        OSError: Ray Serve is not installed, its cluster cannot be reached, or replicas do not start.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray import serve
    except ImportError as error:
        command = "pip install -c constraints.txt 'ray[serve]'"
        raise OSError(f"engine=ray: expected Ray Serve to be installed; run: {command}") from error
    _connect(ray, options)
    deployment = {
        "num_replicas": options.replicas,
        "max_ongoing_requests": limits.max_requests + BESIDE,
        "health_check_period_s": HEALTH_S,
        "health_check_timeout_s": HEALTH_S,
        "graceful_shutdown_wait_loop_s": 0.2,  # the server in front has finished what was begun
        "graceful_shutdown_timeout_s": HEALTH_S,
        "ray_actor_options": {"num_cpus": options.cores, "num_gpus": options.gpus},
    }
    try:
        serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR", "enable_access_log": False})
        application = make_deployment(load, deployment, temporary_dir)
        handle = serve.run(application, name=APPLICATION, route_prefix=None)
        facts = handle.describe.remote().result(timeout_s=LOST_S)
    except Exception as error:
        _stop(ray, serve, options)()
        reason = " ".join(str(error).split())[:300]
        raise OSError(f"engine=ray: found no replica that starts ({reason}), expected one; see Ray's logs") from error
    total = EngineLimits(**{**vars(limits), "max_requests": limits.max_requests * options.replicas})
    return ClusterEngine(handle, facts, total, _stop(ray, serve, options), lost_s), facts


def _connect(ray: Any, options: ClusterOptions) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    before = signal.getsignal(signal.SIGTERM)
    try:
        if options.address:
            ray.init(address=options.address, **quiet)
        else:
            cores, gpus = options.replicas * options.cores, options.replicas * options.gpus
            ray.init(address="local", num_cpus=cores, num_gpus=gpus, include_dashboard=False, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise OSError(f"address={options.address}: found no Ray cluster ({reason}); start one, or use null") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)  # Ray's handler would end the server with another status


def _stop(ray: Any, serve: Any, options: ClusterOptions) -> Callable[[], None]:
    """Return the function that ends what was started here: the application, and the cluster if it is ours."""

    def stop() -> None:
        with contextlib.suppress(Exception):
            if options.address:
                serve.delete(APPLICATION)
            else:
                serve.shutdown()
        ray.shutdown()

    return stop
