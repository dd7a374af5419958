"""Serve a CTC model: OpenAI's transcription API over HTTP, and live streams over websockets.

The text of a recording equals that of `transcribe_speech.py` with the same arguments. Without `host`, the server
accepts connections from this machine only. Ctrl-C or SIGTERM ends it after the recordings in progress.

    python scripts/serve.py model_path=bundle.nemo
"""

from hydra_job import hydra_job
from nemo_models.serving.settings import ServeSettings
from nemo_models.transcription.nemo_arguments import rewrite_argument


@hydra_job(
    "serve",
    ServeSettings,
    rewrite=rewrite_argument,
    after_interrupt="requests that were not finished had an error as their answer",
)
def main(settings: ServeSettings) -> None:
    from nemo.utils import logging

    from nemo_models.serving.command import run_server

    logging.setLevel(logging.ERROR)
    run_server(settings)


if __name__ == "__main__":
    main()
