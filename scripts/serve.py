"""Serve a CTC model: OpenAI's transcription API over HTTP, and live streams over websockets.

The text of a recording is the one that `transcribe_speech.py` writes with the same arguments. The server listens on
this machine only unless `host` says otherwise. It ends with Ctrl-C or SIGTERM and finishes what it has begun.

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
