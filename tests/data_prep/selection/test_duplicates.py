from data_prep.selection.duplicates import find_duplicate_audio, find_duplicate_text, find_text_in_evaluation


def make_results(*rows: tuple[str, str, str, str] | None) -> list[dict]:
    """Results of (digest, speaker, text, split); `None` is a rejected row."""
    return [
        {
            "kept": {"speaker": row[1], "text": row[2]},
            "measures": {"digest": row[0] * 32},
            "path": f"{at}.wav",
            "line": at + 2,
            "split": row[3],
        }
        if row
        else {"rejected": {}}
        for at, row in enumerate(rows)
    ]


ROWS = make_results(
    ("a", "राम", "कमल", "train"),
    None,
    ("b", "राम", "कमल", "train"),
    ("a", "सीता", "कमल", "dev"),
    ("a", "सीता", "बाग", "test"),
    ("c", "सीता", "बाग", "dev"),
    ("d", "राम", "बाग", "train"),
)


def test_repeated_audio_is_out_but_for_its_first_place():
    found = find_duplicate_audio(lambda: ROWS, {})
    assert found == dict.fromkeys((3, 4), ("duplicate_audio", "the samples of 0.wav, line 2"))
    assert list(find_duplicate_audio(lambda: ROWS, {0: ("too_short", "")})) == [4]  # what is out is nobody's first
    assert find_duplicate_audio(lambda: [], {}) == {}


def test_digests_that_share_their_first_half_are_not_the_same():
    rows = make_results(("a", "s", "क", ""), ("a", "s", "ख", ""))
    rows[1]["measures"]["digest"] = "a" * 16 + "b" * 16
    assert find_duplicate_audio(lambda: rows, {}) == {}


def test_repeated_text_counts_for_the_same_speaker_only():
    assert find_duplicate_text(lambda: ROWS, {}) == {
        2: ("duplicate_text", "the text of this speaker of 0.wav, line 2"),
        5: ("duplicate_text", "the text of this speaker of 4.wav, line 6"),
    }


def test_texts_of_evaluation_splits_leave_training():
    found = find_text_in_evaluation(lambda: ROWS, {}, lambda result: result["split"])
    assert {at: detail for at, (_, detail) in found.items()} == {
        5: "the same text is in test",
        6: "the same text is in test",
        0: "the same text is in dev",
        2: "the same text is in dev",
    }
    assert (
        find_text_in_evaluation(lambda: ROWS, {3: ("", ""), 4: ("", ""), 5: ("", "")}, lambda row: row["split"]) == {}
    )
