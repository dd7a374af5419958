import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from data_prep.manifest import read_manifest
from data_prep.prepare.report import check_success
from prepare_tsv import ROWS, prepare, read_outputs


def test_all_rows_are_accounted_for_in_order(make_corpus, write_audio, tmp_path):
    folder = tmp_path / "corpus"
    write_audio(folder / "s1/1.wav", rate=44100, channels=2)
    write_audio(folder / "s2/2.wav", rate=8000)
    (folder / "s3").mkdir()
    (folder / "s3/3.wav").write_text("no audio")
    rows = [
        *ROWS,
        ("s0/0.wav", "spk0", "कमल खिला।"),
        ("./s0//7.wav", "spk0", "कमल"),
        ("broken", "row"),
        ("d.wav", "spk0", "10 दिन"),
    ]
    report = prepare(make_corpus(rows), tmp_path / "out")
    assert report == json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert (report["in"], report["kept"], report["rejected"]) == (34, 29, 5)
    expected = {"malformed_row": 1, "unreadable_audio": 1, "conflicting_text": 1, "duplicate_path": 1, "numbers": 1}
    assert report["rejected_by_reason"] == expected and report["rejected_as_error"] == 3
    assert report["audio"] == {"referenced": 27, "converted": 2}
    rejected = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    reasons = ["unreadable_audio", "duplicate_path", "conflicting_text", "malformed_row", "numbers"]
    assert [(row["line"], row["reason"]) for row in rejected] == list(zip([5, 32, 33, 34, 35], reasons, strict=True))
    assert rejected[1]["detail"] == "first listed in line 2"
    manifests = {split: read_manifest(tmp_path / f"out/{split}_manifest.json") for split in ("train", "dev", "test")}
    speakers = {split: {row["speaker"] for row in rows} for split, rows in manifests.items()}
    assert all(speakers.values()) and sum(map(len, speakers.values())) == len(set.union(*speakers.values())) == 7
    for split, kept in manifests.items():
        assert report["splits"][split]["utterances"] == len(kept)
        numbers = [int(Path(row["audio_filepath"]).stem.split("-")[0]) for row in kept]
        assert numbers == sorted(numbers)


def test_numbers_are_written_in_words_on_request(make_corpus, tmp_path):
    pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")
    texts = ["70वीं कड़ी", "10 दिन", "4:3", "कमल", "बंसीे"]
    folder = make_corpus([(f"{number}.wav", f"spk{number}", text) for number, text in enumerate(texts)])
    everything = {"splits": {"train": 1.0}}
    assert prepare(folder, tmp_path / "out", **everything)["kept"] == 1
    report = prepare(folder, tmp_path / "out", numbers="verbalize", **everything)
    assert report["rejected_by_reason"] == {"numbers": 1, "malformed_text": 1}
    rows = read_manifest(tmp_path / "out/train_manifest.json")
    assert [row["text"] for row in rows] == ["सत्तरवीं कड़ी", "दस दिन", "कमल"]
    with pytest.raises(ValueError, match="numbers=keep: expected one of reject, verbalize"):
        prepare(folder, tmp_path / "out", numbers="keep")


@pytest.mark.parametrize("changed", [{"num_workers": 3}, {"unit_size": 100}, {"num_workers": 2, "unit_size": 1}])
def test_the_output_does_not_depend_on_workers_or_shards(make_corpus, write_audio, tmp_path, changed):
    for number in range(0, 30, 3):
        write_audio(tmp_path / f"corpus/s{number % 7}/{number}.wav", rate=22050, channels=2)
    folder = make_corpus(ROWS)
    prepare(folder, tmp_path / "one")
    prepare(folder, tmp_path / "two", **changed)
    assert len(read_outputs(tmp_path / "one")) == 6 + 10
    assert read_outputs(tmp_path / "one") == read_outputs(tmp_path / "two")


def test_a_second_run_reuses_results_and_notices_a_repaired_file(make_corpus, write_audio, tmp_path, capsys):
    (tmp_path / "corpus/s1").mkdir(parents=True)
    (tmp_path / "corpus/s1/8.wav").write_text("no audio")
    folder = make_corpus(ROWS)
    assert prepare(folder, tmp_path / "out")["rejected"] == 1
    before = read_outputs(tmp_path / "out")
    capsys.readouterr()
    prepare(folder, tmp_path / "out")
    assert "30 from an earlier run" in capsys.readouterr().err and read_outputs(tmp_path / "out") == before
    write_audio(folder / "s1/8.wav")
    assert prepare(folder, tmp_path / "out")["rejected"] == 0
    assert "26 from an earlier run" in capsys.readouterr().err


def test_what_a_killed_run_left_half_written_is_cleared_away(make_corpus, tmp_path):
    leftovers = [
        tmp_path / "out" / name
        for name in (".report.host-7.tmp.json", ".units/.000000.host-7.tmp.jsonl", ".units/tmp/a.wav")
    ]
    leftovers[-1].parent.mkdir(parents=True)
    for path in leftovers:
        path.touch()
    prepare(make_corpus(ROWS), tmp_path / "out")
    assert not any(path.exists() for path in leftovers)


def test_official_splits_are_honoured(make_corpus, tmp_path):
    rows = [(f"{split}{number}.wav", "कमल", "same", split) for split in ("test", "train") for number in range(2)]
    report = prepare(make_corpus(rows, "path text speaker split"), tmp_path / "out", splits={"train": 1.0})
    for split in ("train", "test"):
        names = [Path(row["audio_filepath"]).stem for row in read_manifest(tmp_path / f"out/{split}_manifest.json")]
        assert names == [f"{split}0", f"{split}1"]
    assert report["speakers_in_several_splits"] == ["same"] and "dev" not in report["splits"]


def test_listed_speakers_and_utterance_splits(make_corpus, tmp_path):
    folder = make_corpus(ROWS)
    report = prepare(folder, tmp_path / "out", dev_speakers=["spk3"], test_speakers=["spk1", "spk2"])
    names = {split: row["speaker_names"] for split, row in report["splits"].items()}
    assert names == {"train": ["spk0", "spk4", "spk5", "spk6"], "dev": ["spk3"], "test": ["spk1", "spk2"]}
    only = make_corpus([(f"{number}.wav", "कमल") for number in range(9)], "path text", name="one_speaker")
    with pytest.raises(ValueError, match=r"1 speaker \(unknown\) for train, dev, test.*split_by=utterance"):
        prepare(only, tmp_path / "out2")
    report = prepare(only, tmp_path / "out2", split_by="utterance")
    assert all(row["utterances"] for row in report["splits"].values())


def test_nothing_kept_is_no_success(make_corpus, tmp_path):
    report = prepare(make_corpus([("a.wav", "s", "123")]), tmp_path / "out")
    assert report["kept"] == 0 and report["in"] == 1
    assert read_manifest(tmp_path / "out/train_manifest.json") == []
    with pytest.raises(ValueError, match=r"found no row to keep among 1 \(numbers 1\); see rejected.jsonl"):
        check_success(report)


def test_no_row_read_is_no_success(make_corpus, tmp_path):
    with pytest.raises(ValueError, match="none: found no row, expected one or more"):
        prepare(make_corpus([], name="none"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"split_by": "station"}, "split_by=station: expected one of speaker, text, utterance"),
        ({"min_duration": 3, "max_duration": 2}, "min_duration=3, max_duration=2"),
        ({"max_duration": "long"}, "max_duration=long: expected a number of seconds"),
        ({"num_workers": 0}, "num_workers=0: expected a whole number, 1 or more"),
        ({"unit_size": 1.5}, "unit_size=1.5: expected a whole number, 1 or more"),
        ({"splits": {"train": 0.5}}, "the shares add up to 0.5, expected 1"),
    ],
)
def test_wrong_arguments_are_named_before_any_work(make_corpus, tmp_path, arguments, fault):
    with pytest.raises(ValueError, match=fault):
        prepare(make_corpus([]), tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_missing_sox_costs_the_rows_that_need_it(make_corpus, write_audio, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = make_corpus(ROWS)
    assert prepare(folder, tmp_path / "out")["kept"] == 30
    (folder / "s1/8.wav").write_bytes(b"no known format" * 9)
    for workers in (1, 2):
        report = prepare(folder, tmp_path / "out", num_workers=workers)
        assert report["kept"] == 29 and report["rejected_by_reason"] == {"unreadable_audio": 1}
        assert "sox, which reads further formats, is not installed; run: apt-get install -y sox" in (
            tmp_path / "out/rejected.jsonl"
        ).read_text(encoding="utf-8")


def test_a_killed_worker_is_reported_and_no_process_is_left(make_corpus, tmp_path, monkeypatch):
    folder = make_corpus(ROWS)
    with monkeypatch.context() as patch:  # workers are forked: they run what is patched here
        patch.setattr(
            "data_prep.prepare.work_units.trace_rules", lambda text, policy: os.kill(os.getpid(), signal.SIGKILL)
        )
        with pytest.raises(OSError, match="a worker process was killed"):
            prepare(folder, tmp_path / "out", num_workers=2)
    deadline = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()
    assert prepare(folder, tmp_path / "out", num_workers=2)["kept"] == 30


def test_repeated_audio_and_text_are_left_out_as_asked(make_corpus, write_audio, tmp_path):
    for name in ("0", "copy"):
        write_audio(tmp_path / f"corpus/{name}.wav", pitch=999)
    rows = [(f"{name}.wav", f"s{number % 3}", "कमल खिला") for number, name in enumerate(["0", *range(1, 6), "copy"])]
    folder = make_corpus(rows)
    report = prepare(folder, tmp_path / "out", unit_size=2)
    assert report["rejected_by_reason"] == {"duplicate_audio": 1}
    (rejected,) = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text("utf-8").splitlines()]
    assert (rejected["line"], rejected["path"], rejected["detail"]) == (8, "copy.wav", "the samples of 0.wav, line 2")
    report = prepare(folder, tmp_path / "out", duplicate_audio="keep", duplicate_text="reject")
    assert report["rejected_by_reason"] == {"duplicate_text": 4} and report["kept"] == 3
    assert prepare(folder, tmp_path / "out", duplicate_audio="keep")["kept"] == 7
    with pytest.raises(ValueError, match="duplicate_text=drop: expected one of reject, keep"):
        prepare(folder, tmp_path / "out", duplicate_text="drop")


def test_splits_by_text_share_no_text_and_stay_when_data_is_added(make_corpus, tmp_path):
    texts = [f"कमल {'खगघचज'[number % 5]}{'तदनपब'[number // 5 % 5]}" for number in range(60)]
    rows = [(f"{number}.wav", f"s{number % 2}", text) for number, text in enumerate(texts)]

    def read_splits(count: int) -> dict[str, str]:
        report = prepare(make_corpus(rows[:count], name=f"c{count}"), tmp_path / f"out{count}", split_by="text")
        assert not any(leak["exact"] for leak in report["leaks"]) and len(report["splits"]) == 3
        manifests = {split: tmp_path / f"out{count}/{split}_manifest.json" for split in report["splits"]}
        return {row["text"]: split for split, path in manifests.items() for row in read_manifest(path)}

    before, after = read_splits(50), read_splits(60)
    assert len(before) == 25 and before.items() <= after.items()


def test_audio_with_two_texts_is_a_conflict_that_is_named(make_corpus, write_audio, tmp_path):
    rows = [
        ("a.wav", "s", "कमल खिला"),
        ("./a.wav", "s", "नदी बही"),
        ("a.wav", "s", "कमल, खिला।"),
        ("b.wav", "s", "चाय"),
    ]
    write_audio(tmp_path / "corpus/a.wav", pitch=500)
    shutil.copy(tmp_path / "corpus/a.wav", tmp_path / "corpus/b.wav")
    report = prepare(make_corpus(rows), tmp_path / "out", splits={"train": 1.0})
    assert report["rejected_by_reason"] == {"conflicting_text": 2, "duplicate_path": 1} and report["kept"] == 1
    rejected = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text("utf-8").splitlines()]
    assert [row["detail"] for row in rejected] == [
        "first listed in line 2 with another text: 'कमल खिला'",
        "first listed in line 2",
        "the samples of a.wav, line 2, which has another text",
    ]
    assert "2 rows: found audio that is listed with two texts; correct one; ./a.wav" in report["causes"][0]["message"]
    assert check_success(report) == 3


def test_texts_of_one_recording_are_compared_by_the_rules_of_the_language(make_corpus, write_audio, tmp_path):
    rows = [
        ("a.wav", "s", "വീട്ടില\u0d4d\u200d"),
        ("a.wav", "s", "വീട്ടിൽ"),
        ("b.wav", "s", "അമ്മ"),
    ]  # one word in two encodings
    write_audio(tmp_path / "corpus/a.wav", pitch=500)
    write_audio(tmp_path / "corpus/b.wav", pitch=700)
    report = prepare(make_corpus(rows), tmp_path / "out", splits={"train": 1.0}, language="ml")
    assert report["rejected_by_reason"] == {"duplicate_path": 1} and report["kept"] == 2


def test_one_name_is_a_list_of_one_speaker(make_corpus, tmp_path):
    report = prepare(make_corpus(ROWS), tmp_path / "out", dev_speakers="spk3", test_speakers=["spk1"])
    assert report["splits"]["dev"]["speaker_names"] == ["spk3"] and report["settings"]["dev_speakers"] == ["spk3"]
