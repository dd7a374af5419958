"""The progress bar of every job that works with a pool of processes."""

from tqdm import tqdm


class ProgressBar(tqdm):
    """A tqdm bar on standard error that starts no thread: a process that forks workers must have only one."""

    monitor_interval = 0
