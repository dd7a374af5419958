"""Transcripts as rows of JSON, and where they are written."""

import os
from pathlib import Path

import pytest

from nemo_models.transcription.inputs import AudioInput, list_inputs
from nemo_models.transcription.transcript_files import check_output, plan_output, score_rows
from nemo_models.transcription.transcripts import Transcript, Word, transcript_row


def test_output_names_are_nemos(tmp_path):
    manifest = tmp_path / "m.json"
    manifest.touch()
    assert plan_output(None, manifest, "big") == (tmp_path / "m_big.json", "pred_text")
    assert plan_output(None, manifest, "big", append_pred=True) == (tmp_path / "m_big.json", "pred_text_big")
    assert plan_output(None, manifest, "big", True, "v2") == (tmp_path / "m_v2.json", "pred_text_v2")
    assert plan_output(None, tmp_path, "big")[0] == tmp_path.with_name(tmp_path.name + ".json")
    assert plan_output(str(tmp_path / "new/out.json"), manifest, "big")[0].parent.is_dir()
    assert plan_output(str(manifest), manifest, "big", append_pred=True)[0] == manifest
    with pytest.raises(ValueError, match="expected another file than the manifest"):
        plan_output(str(manifest), manifest, "big")
    with pytest.raises(ValueError, match="output_filename=null: expected a file name"):
        plan_output(None, None, "big")
    with pytest.raises(ValueError, match="found a folder"):
        plan_output(str(tmp_path), manifest, "big")


def test_names_from_a_hub_or_after_a_recording_are_files(tmp_path):
    (tmp_path / "m.json").touch()
    named = plan_output(None, tmp_path / "m.json", "nvidia/x", append_pred=True)
    assert named == (tmp_path / "m_nvidia_x.json", "pred_text_nvidia_x")
    assert plan_output(None, tmp_path / "a.wav", "big")[0] == tmp_path / "a_big.json"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="found a device or pipe"):
        plan_output(str(tmp_path / "pipe"), None, "big")


def test_the_output_is_nothing_that_is_read(tmp_path):
    for name in ("a.wav", "list.txt", "model.nemo", "lm.nemo"):
        (tmp_path / name).write_text("held")
    (tmp_path / "link").symlink_to("a.wav")
    (tmp_path / "hard").hardlink_to(tmp_path / "a.wav")
    inputs = [AudioInput(Path("\0")), AudioInput(tmp_path / "absent.wav"), AudioInput(tmp_path / "a.wav")]
    others = {key: str(tmp_path / name) for key, name in (("audio_list", "list.txt"), ("model_path", "model.nemo"))}
    for name, named in (
        ("a.wav", "expected another file than the recording .*a.wav"),
        ("link", "expected another file than the recording"),
        ("hard", "expected another file than the recording"),
        ("list.txt", "expected another file than audio_list="),
        ("model.nemo", "expected another file than model_path="),
    ):
        with pytest.raises(ValueError, match=f"^output_filename=.*{name}: {named}"):
            check_output(tmp_path / name, inputs, None, others)
    check_output(tmp_path / "lm.nemo", inputs, None, others)
    check_output(tmp_path / "new.json", inputs, None, others)


def test_a_manifest_with_lines_that_would_be_lost_is_not_written_over(tmp_path):
    manifest = tmp_path / "m.json"
    manifest.write_text('{"audio_filepath": "a.wav"}\n{"audio_filepath": 3}\n', encoding="utf-8")
    check_output(manifest, list_inputs(manifest), str(manifest), {})
    with manifest.open("a", encoding="utf-8") as file:
        file.write("# mine\n\n[1]\n")
    with pytest.raises(ValueError, match=r"than the manifest.*m\.json:3, .*m\.json:5; correct them"):
        check_output(manifest, list_inputs(manifest), str(manifest), {})
    (tmp_path / "out.json").touch()
    check_output(tmp_path / "out.json", list_inputs(manifest), str(manifest), {})


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


def test_rows_keep_nothing_that_an_earlier_run_said_of_another_text():
    stale = {"duration": None, "pred_text": "एक", "pred_text_spoken": "एक", "words": [], "beams": [], "char": []}
    audio = AudioInput(Path("x.wav"), fields={"audio_filepath": "x.wav", **stale, "segment": "mine"})
    row = transcript_row(Transcript(0, audio, "दो", 1.25))
    assert row == {"audio_filepath": "x.wav", "duration": 1.25, "pred_text": "दो", "segment": "mine"}
    failed = transcript_row(Transcript(0, audio, error="missing: x"))
    assert not {"words", "pred_text_spoken", "beams", "char"} & set(failed)


def test_scores_leave_out_what_failed_or_has_no_reference():
    rows = [{"pred_text": "यह", "text": "यह है।"}, {"pred_text": "", "text": "वह था", "error": "missing: x"}]
    rows.append({"pred_text": "कुछ"})
    scores = score_rows(rows, "pred_text")
    assert (scores.wer, scores.words) == (0.5, 2)
    assert score_rows([{"pred_text": "कुछ", "text": text} for text in (None, "", "।")], "pred_text") is None
    assert score_rows([{"p": "२", "p_spoken": "दो", "ref": "दो"}], "p", "ref").wer == 0
