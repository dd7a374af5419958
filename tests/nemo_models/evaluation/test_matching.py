"""References and predictions of every format, matched row by row."""

import json
from pathlib import Path

import pytest

from nemo_models.evaluation.matching import load_test_set
from nemo_models.evaluation.rows import Keys, read_rows

ROWS = [
    {"audio_filepath": "a/1.wav", "duration": 2.0, "speaker": "s1", "text": "यह है", "pred_text": "यह है"},
    {"audio_filepath": "a/2.wav", "duration": 3.0, "speaker": "s2", "text": "वह नहीं है", "pred_text": "वह है"},
    {"audio_filepath": "a/2.wav", "offset": 3.0, "duration": 1.0, "speaker": "s2", "text": "कल", "pred_text": "कल"},
]


def write(path, rows, ends="\n"):
    path.write_text(ends.join(json.dumps(row, ensure_ascii=False) for row in rows) + ends, encoding="utf-8", newline="")
    return path


def without(row, *keys):
    return {key: value for key, value in row.items() if key not in keys}


def texts(test_set):
    return [
        (u.reference.text, *(s.rows[n].hypothesis for s in test_set.systems)) for n, u in enumerate(test_set.utterances)
    ]


EXPECTED = [("यह है", "यह है"), ("वह नहीं है", "वह है"), ("कल", "कल")]


def test_our_transcripts_hold_both(tmp_path):
    test_set = load_test_set([write(tmp_path / "a.jsonl", ROWS)])
    assert texts(test_set) == EXPECTED
    assert [u.row.speaker for u in test_set.utterances] == ["s1", "s2", "s2"]
    assert test_set.systems[0].name == "a"


def test_rows_in_another_order_and_with_windows_line_ends(tmp_path):
    first = write(tmp_path / "a.jsonl", ROWS)
    second = write(tmp_path / "b.jsonl", ROWS[::-1], ends="\r\n")
    assert texts(load_test_set([first, second])) == [(*row, row[1]) for row in EXPECTED]


def test_paths_written_in_other_ways(tmp_path):
    references = write(tmp_path / "ref.json", [without(row, "pred_text") for row in ROWS])
    moved = [{**without(row, "text"), "audio_filepath": str(tmp_path / row["audio_filepath"])} for row in ROWS]
    (tmp_path / "out").mkdir()
    predictions = write(tmp_path / "out/p.json", moved)
    assert texts(load_test_set([predictions], references)) == EXPECTED
    stems = [{**without(row, "text"), "audio_filepath": Path(row["audio_filepath"]).stem} for row in ROWS]
    assert texts(load_test_set([write(tmp_path / "q.json", stems)], references)) == EXPECTED


def test_tables(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("id\treference\tgreedy\tlm\r\n1\tयह है\tयह\tयह है\r\n2\tकल\tकल\t\r\n", encoding="utf-8", newline="")
    assert texts(load_test_set([path], keys=Keys(prediction="greedy"))) == [("यह है", "यह"), ("कल", "कल")]
    assert texts(load_test_set([path], keys=Keys(prediction="lm"))) == [("यह है", "यह है"), ("कल", "")]
    table = tmp_path / "b.csv"
    table.write_text('path,text,hyp\n1.wav,"यह, है",यह है\n', encoding="utf-8")
    assert texts(load_test_set([table])) == [("यह, है", "यह है")]


def test_stm_and_ctm(tmp_path):
    stm, ctm = tmp_path / "ref.stm", tmp_path / "hyp.ctm"
    stm.write_text(
        ";; comment\nrec 1 s1 0.00 2.00 <o,f0> यह है\nrec 1 s2 2.00 5.00 वह नहीं है\nother 1 s3 0 1 कल\n", encoding="utf-8"
    )
    ctm.write_text(
        "rec 1 0.10 0.30 यह 0.9\nrec 1 0.50 0.30 है 0.8\nrec 1 2.10 0.30 वह 0.7\n"
        "rec 1 4.00 0.50 है 0.6\nother 1 0.2 0.3 कल NA\n",
        encoding="utf-8",
    )
    test_set = load_test_set([ctm], stm)
    assert texts(test_set) == EXPECTED
    assert test_set.utterances[1].row.speaker == "s2"
    second = test_set.systems[0].rows[1].words
    assert [(word.word, round(word.start_s, 2), word.confidence) for word in second] == [
        ("वह", 0.1, 0.7),
        ("है", 2.0, 0.6),
    ]


def test_ctm_words_outside_every_segment(tmp_path):
    stm, ctm = tmp_path / "ref.stm", tmp_path / "hyp.ctm"
    stm.write_text("rec 1 s1 0.00 2.00 यह है\n", encoding="utf-8")
    ctm.write_text("rec 1 0.1 0.3 यह\nrec 1 7.0 0.3 है\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"hyp.ctm: found words outside every reference segment: rec \(1\)"):
        load_test_set([ctm], stm)
    ctm.write_text("elsewhere 1 0.1 0.3 यह\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"hyp.ctm: found no word of rec"):
        load_test_set([ctm], stm)


def test_trn(tmp_path):
    ref, hyp = tmp_path / "ref.trn", tmp_path / "hyp.trn"
    ref.write_text("यह है (s1-1)\nवह नहीं है (s2-1)\n", encoding="utf-8")
    hyp.write_text("वह है (s2-1)\n(s1-1)\n", encoding="utf-8")
    test_set = load_test_set([hyp], ref)
    assert texts(test_set) == [("यह है", ""), ("वह नहीं है", "वह है")]
    assert [u.row.speaker for u in test_set.utterances] == ["s1", "s2"]
    with pytest.raises(ValueError, match=r"hyp.trn: found no references in a .trn; add dataset_manifest="):
        load_test_set([hyp])


def test_missing_doubled_and_superfluous_rows_are_errors_with_names(tmp_path):
    references = write(tmp_path / "ref.json", ROWS)
    with pytest.raises(ValueError, match=r"p.json: 1 of 3 utterances are missing: a/2.wav at 3 s; transcribe them too"):
        load_test_set([write(tmp_path / "p.json", ROWS[:2])], references)
    with pytest.raises(ValueError, match=r"p.json: found 2 rows that share recording and offset, .*: a/1.wav at 0 s"):
        load_test_set([write(tmp_path / "p.json", [*ROWS, ROWS[0]])], references)
    extra = {**ROWS[0], "audio_filepath": "a/9.wav"}
    with pytest.raises(
        ValueError, match=r"p.json: 1 rows have no reference in .*ref.json: a/9.wav at 0 s; remove them"
    ):
        load_test_set([write(tmp_path / "p.json", [*ROWS, extra])], references)


def test_rows_without_a_reference_are_named_and_counted(tmp_path):
    rows = [*ROWS[:2], without(ROWS[2], "text")]
    test_set = load_test_set([write(tmp_path / "a.jsonl", rows), write(tmp_path / "b.jsonl", rows)])
    assert len(test_set.utterances) == 2
    assert len(test_set.unscorable) == 1
    assert "1 rows have no reference and are not scored: " in test_set.warnings[0]
    assert "a.jsonl:3: a/2.wav" in test_set.warnings[0]


def test_a_failed_transcript_counts_as_deleted_and_is_named(tmp_path):
    rows = [ROWS[0], {**ROWS[1], "pred_text": "", "error": "unreadable: no such file"}]
    test_set = load_test_set([write(tmp_path / "a.jsonl", rows)])
    assert texts(test_set)[1] == ("वह नहीं है", "")
    assert "not transcribed (unreadable: no such file); all its words count as deleted" in test_set.warnings[0]


def test_references_that_differ_between_two_files(tmp_path):
    other = [{**ROWS[0], "text": "वह है"}, *ROWS[1:]]
    with pytest.raises(ValueError, match=r"b.jsonl: found another reference of a/1.wav than in .*a.jsonl"):
        load_test_set([write(tmp_path / "a.jsonl", ROWS), write(tmp_path / "b.jsonl", other)])


def test_equal_file_names_in_two_folders_are_two_recordings(tmp_path):
    rows = [ROWS[0], {**ROWS[1], "audio_filepath": "b/1.wav"}]
    paths = [write(tmp_path / f"{name}.jsonl", rows) for name in ("a", "b")]
    assert len(load_test_set(paths).utterances) == 2


def test_empty_references_are_counted_and_a_set_without_words_is_refused(tmp_path):
    rows = [ROWS[0], {**ROWS[1], "text": ""}]
    assert "1 references are empty" in load_test_set([write(tmp_path / "a.jsonl", rows)]).warnings[0]
    with pytest.raises(ValueError, match=r"a.jsonl: found no word in 1 references"):
        load_test_set([write(tmp_path / "a.jsonl", rows[1:])])


def test_fingerprints_of_other_normalisers_are_named(tmp_path):
    rows = [{**ROWS[0], "normalizer_fingerprint": "hi-1-abc"}]
    assert "rows were normalised by hi-1-abc" in load_test_set([write(tmp_path / "a.jsonl", rows)]).warnings[0]


def test_no_prediction_and_wrong_fields(tmp_path):
    rows = [without(ROWS[0], "pred_text")]
    with pytest.raises(ValueError, match=r"a.jsonl:1: found no prediction for a/1.wav; name the field: pred_text_attr"):
        load_test_set([write(tmp_path / "a.jsonl", rows)])
    with pytest.raises(ValueError, match=r"a.jsonl:1: pred_text: found 3, expected a text"):
        read_rows(write(tmp_path / "a.jsonl", [{**ROWS[0], "pred_text": 3}]))
    with pytest.raises(ValueError, match=r"a.jsonl:1: duration=-1: expected a number, 0 or more"):
        read_rows(write(tmp_path / "a.jsonl", [{**ROWS[0], "duration": -1}]))
    with pytest.raises(ValueError, match=r"a.mp4: found .mp4, expected one of .json, .jsonl"):
        (tmp_path / "a.mp4").touch()
        read_rows(tmp_path / "a.mp4")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_rows(tmp_path / "none.json")


def test_a_postfixed_prediction_and_a_spoken_one(tmp_path):
    row = without(ROWS[0], "pred_text") | {"pred_text_m": "२ है", "pred_text_m_spoken": "दो है"}
    assert read_rows(write(tmp_path / "a.jsonl", [row]))[0].hypothesis == "दो है"


def test_a_manifest_of_another_name(tmp_path):
    assert len(read_rows(write(tmp_path / "test.manifest", ROWS))) == 3


def test_names_of_systems(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    paths = [write(tmp_path / folder / "a.jsonl", ROWS) for folder in ("x", "y")]
    assert [s.name for s in load_test_set(paths).systems] == [str(path.with_suffix("")) for path in paths]
    assert [s.name for s in load_test_set(paths, names=["one", "two"]).systems] == ["one", "two"]
    with pytest.raises(ValueError, match=r"names=\['one'\]: expected 2 different names"):
        load_test_set(paths, names=["one"])


NOTES = [
    {"audio_filepath": "1.wav", "text": "[हँसी] यह है", "pred_text": "यह <noise> है"},
    {"audio_filepath": "2.wav", "text": "कल [बंद/बन्द] था", "pred_text": "कल बंद था"},
]


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ("keep", [("[हँसी] यह है", "यह <noise> है"), ("कल बंद था", "कल बंद था")]),
        ("strip", [("यह है", "यह है"), ("कल बंद था", "कल बंद था")]),
        ("reject", [("कल बंद था", "कल बंद था")]),
    ],
)
def test_notes_that_nobody_speaks_follow_the_setting(tmp_path, annotations, expected):
    test_set = load_test_set([write(tmp_path / "a.jsonl", NOTES)], annotations=annotations)
    assert [tuple(" ".join(text.split()) for text in pair) for pair in texts(test_set)] == expected
    assert len(test_set.unscorable) == (annotations == "reject")
    with pytest.raises(ValueError, match="annotations=drop: expected one of"):
        load_test_set([tmp_path / "a.jsonl"], annotations="drop")


def test_notes_are_found_in_any_unicode_form(tmp_path):
    row = {
        "audio_filepath": "1.wav",
        "text": "(\u0906\u0935\u093e\u095b \u092e\u0947\u0902 \u0939\u0901\u0938\u0940) यह है",
        "pred_text": "यह है",
    }
    test_set = load_test_set([write(tmp_path / "a.jsonl", [row])], annotations="strip")
    assert [text.split() for pair in texts(test_set) for text in pair] == [["यह", "है"]] * 2
