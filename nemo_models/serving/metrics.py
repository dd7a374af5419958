"""The server's counters, in Prometheus' format at `/metrics`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from nemo_models.serving.tasks import ServingEngine

SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 10, 30, 60, 300)
WINDOWS = (1, 2, 4, 8, 16, 32, 64)


class ServerMetrics:
    """The counters of one server.

    Attributes:
        connections: Requests that are being answered.
        streams: Websockets that are open.
    """

    def __init__(self) -> None:
        """Set up counters at zero."""
        self.registry = registry = CollectorRegistry()
        self._requests = Counter("hindi_asr_requests", "Requests answered", ["path", "status"], registry=registry)
        self._seconds = Histogram(
            "hindi_asr_request_seconds", "From request to answer", ["path"], buckets=SECONDS, registry=registry
        )
        self._audio = Counter(
            "hindi_asr_audio_seconds", "Seconds of audio that went through the model", registry=registry
        )
        self._batches = Histogram("hindi_asr_batch_windows", "Windows in a batch", buckets=WINDOWS, registry=registry)
        self._computing = Histogram(
            "hindi_asr_batch_seconds", "Time of computing a batch", buckets=SECONDS, registry=registry
        )
        self._refused = Counter(
            "hindi_asr_refused", "Requests refused, by code of the error", ["code"], registry=registry
        )
        self.connections = Gauge("hindi_asr_open_requests", "Requests that are being answered", registry=registry)
        self.streams = Gauge("hindi_asr_open_streams", "Websockets that are open", registry=registry)
        self._finals = Histogram(
            "hindi_asr_final_seconds", "From the end of an utterance to its final", buckets=SECONDS, registry=registry
        )
        self._recordings = Gauge("hindi_asr_recordings", "Recordings that are begun or wait", registry=registry)
        self._waiting = Gauge("hindi_asr_waiting_windows", "Windows that wait for the model", registry=registry)

    def watch(self, engine: ServingEngine) -> None:
        """Count what an engine does."""
        engine.on_batch = self._count_batch
        self._recordings.set_function(lambda: engine.open_requests)
        self._waiting.set_function(lambda: engine.waiting_windows)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            path: The route's path; "other" for those that are not routes, for clients invent many.
            status: HTTP status.
            seconds: From request to answer.
        """
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def count_refusal(self, code: str) -> None:
        """Count an error by its code."""
        self._refused.labels(code).inc()

    def count_final(self, seconds: float) -> None:
        """Count the final of a live stream's utterance."""
        self._finals.observe(seconds)

    def write(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _count_batch(self, windows: int, audio_s: float, seconds: float) -> None:
        self._audio.inc(audio_s)
        self._batches.observe(windows)
        self._computing.observe(seconds)
