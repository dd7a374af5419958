"""The journal of a job: what is in it survives, what is half in it does not count."""

import errno
import io
import json
import os

import pytest

from nemo_models.transcription.transcript_journal import TranscriptJournal

ROWS = {2: {"pred_text": "तीन"}, 0: {"pred_text": "एक", "error": "missing: x"}, 1: {"pred_text": "दो\nनया"}}


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.json"


def fill(output, rows=ROWS, key="k"):
    with TranscriptJournal(output, key) as journal:
        for index, row in rows.items():
            journal.add(index, 1.5, row)


def test_rows_come_out_in_the_inputs_order_and_the_journal_goes(output):
    fill(output)
    assert not output.exists()
    with TranscriptJournal(output, "k") as journal:
        assert (journal.finished, journal.resumed, journal.resumed_audio_s) == ({0, 1, 2}, 3, 4.5)
        journal.publish()
    assert [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()] == [ROWS[i] for i in range(3)]
    assert [path.name for path in output.parent.iterdir()] == ["out.json"]


def test_what_was_cut_off_anywhere_is_done_again(output):
    """Every length that a killed process can leave: the whole lines of it count, nothing else, and it can go on."""
    fill(output)
    partial = output.with_name(".out.json.partial")
    content = partial.read_bytes()
    whole = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
    for length in range(len(content) + 1):
        partial.write_bytes(content[:length])
        with TranscriptJournal(output, "k") as journal:
            done = max(0, sum(end <= length for end in whole) - 1)
            assert journal.resumed == done
            for index in list(ROWS)[done:]:
                journal.add(index, 1.5, ROWS[index])
            assert list(journal.rows()) == [ROWS[index] for index in range(3)]
        assert partial.read_bytes() == content


def test_another_job_starts_anew(output):
    fill(output)
    with TranscriptJournal(output, "other") as journal:
        assert not journal.finished
    with TranscriptJournal(output, "k") as journal:
        assert not journal.finished, "its rows were given up"


def test_two_processes_do_not_write_one_output(output):
    with (
        TranscriptJournal(output, "k"),
        pytest.raises(ValueError, match=r"out\.json: found another process"),
    ):
        TranscriptJournal(output, "k")


def test_what_a_process_killed_while_publishing_left_is_cleared_away(tmp_path):
    output = tmp_path / "out[1].json"
    fill(output)
    (tmp_path / ".out[1].json.12345.tmp").write_text('{"pred_')
    with TranscriptJournal(output, "k") as journal:
        journal.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["out[1].json"]


class FullDisk(io.BytesIO):
    """A file that takes no byte more."""

    def write(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_names_the_output_and_keeps_what_is_done(output):
    fill(output, {0: ROWS[0]})
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*/out\.json'"),
        TranscriptJournal(output, "k") as journal,
    ):
        file, journal._file = journal._file, FullDisk()
        journal.add(1, 1.5, ROWS[1])
    file.close()
    with TranscriptJournal(output, "k") as journal:
        assert journal.finished == {0}


def test_a_full_disk_leaves_no_hidden_file_where_nothing_was_done(output):
    with pytest.raises(OSError, match="out"), TranscriptJournal(output, "k") as journal:
        file, journal._file = journal._file, FullDisk()
        journal.add(1, 1.5, ROWS[1])
    file.close()
    assert not list(output.parent.iterdir())
