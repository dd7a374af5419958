"""Transcripts as rows of JSON, and where they are written."""

from pathlib import Path

import pytest

from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.transcript_files import Transcript, Word, plan_output, score_rows, transcript_row


def test_output_names_are_nemos(tmp_path):
    manifest = tmp_path / "m.json"
    manifest.touch()
    assert plan_output(None, manifest, "big") == (tmp_path / "m_big.json", "pred_text")
    assert plan_output(None, manifest, "big", append_pred=True) == (tmp_path / "m_big.json", "pred_text_big")
    assert plan_output(None, manifest, "big", True, "v2") == (tmp_path / "m_v2.json", "pred_text_v2")
    assert plan_output(None, tmp_path, "big")[0] == tmp_path.with_name(tmp_path.name + ".json")
    assert plan_output(str(tmp_path / "new/out.json"), manifest, "big")[0].parent.is_dir()
    assert plan_output(str(manifest), manifest, "big", append_pred=True)[0] == manifest
    with pytest.raises(ValueError, match="the manifest itself"):
        plan_output(str(manifest), manifest, "big")
    with pytest.raises(ValueError, match="output_filename=… is needed"):
        plan_output(None, None, "big")
    with pytest.raises(ValueError, match="a folder"):
        plan_output(str(tmp_path), manifest, "big")


def test_rows_keep_the_inputs_fields():
    def audio(**fields):
        return AudioInput(Path("x.wav"), fields={"audio_filepath": "x.wav", **fields})

    done = Transcript(1, audio(text="एक", pred_text="पुराना"), "दो", 1.25)
    assert transcript_row(done) == {"audio_filepath": "x.wav", "text": "एक", "pred_text": "दो", "duration": 1.25}
    appended = transcript_row(done, "pred_text_v2")
    assert (appended["pred_text"], appended["pred_text_v2"]) == ("पुराना", "दो")
    failed = Transcript(0, audio(duration=2.0, error="old"), error="missing: no such file x.wav")
    assert transcript_row(failed) == {
        **{"audio_filepath": "x.wav", "duration": 2.0, "pred_text": ""},
        "error": "missing: no such file x.wav",
    }
    mended = Transcript(2, audio(error="old"), "तीन", 0.5)
    assert transcript_row(mended) == {"audio_filepath": "x.wav", "duration": 0.5, "pred_text": "तीन"}


def test_rows_hold_words_and_the_spoken_text():
    words = (Word("दो", 0.02, 0.4800001, 0.98765), Word("किलो", 0.5, 0.9))
    row = transcript_row(
        Transcript(0, AudioInput(Path("x")), "२ किलो", 1.0, None, words, "दो किलो", {"beams": [["क", -1.0]]})
    )
    assert row == {
        "duration": 1.0,
        "pred_text": "२ किलो",
        "pred_text_spoken": "दो किलो",
        "words": [
            {"word": "दो", "start": 0.02, "end": 0.48, "confidence": 0.9877},
            {"word": "किलो", "start": 0.5, "end": 0.9},
        ],
        "beams": [["क", -1.0]],
    }


def test_scores_leave_out_what_failed_or_has_no_reference():
    rows = [{"pred_text": "यह", "text": "यह है।"}, {"pred_text": "", "text": "वह था", "error": "missing: x"}]
    rows.append({"pred_text": "कुछ"})
    scores = score_rows(rows, "pred_text")
    assert (scores.wer, scores.words) == (0.5, 2)
    assert score_rows([{"pred_text": "कुछ", "text": text} for text in (None, "", "।")], "pred_text") is None
    assert score_rows([{"p": "२", "p_spoken": "दो", "ref": "दो"}], "p", "ref").wer == 0
