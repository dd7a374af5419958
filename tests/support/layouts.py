"""Every corpus in its native layout, tiny, with a tone of its own pitch for each utterance: a row that gets the wrong
audio, or the wrong piece of it, shows."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet
import soundfile

from layout_files import SECONDS, TEXTS, Expected, find_pitch, make_tone, write_lines, write_tone


def make_common_voice(root: Path) -> list[Expected]:
    folder = root / "cv-corpus-17.0-2024-03-15" / "hi"
    header = "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale"
    expected = []
    for at, (split, client) in enumerate([("train", "c1"), ("train", "c2"), ("dev", "c3"), ("test", "c4")]):
        write_tone(folder / f"clips/common_voice_hi_{at}.mp3", TEXTS[at], rate=32000)
        table = folder / f"{split}.tsv"
        lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else ["\t".join(header.split())]
        cells = [client, f"common_voice_hi_{at}.mp3", "s", TEXTS[at], "", "2", "0", "", "", "", "", "hi"]
        write_lines(table, *lines, "\t".join(cells))
        expected.append(Expected(TEXTS[at], client, split))
    write_lines(folder / "other.tsv", "\t".join(header.split()))
    return expected


def make_fleurs(root: Path) -> list[Expected]:
    expected = []
    for at, split in enumerate(["train", "dev", "test"]):
        write_tone(root / f"hi_in/audio/{split}/100{at}.wav", TEXTS[at])
        characters = " ".join(TEXTS[at].replace(" ", "|")) + " |"
        row = [str(at), f"100{at}.wav", f"{TEXTS[at]}।", TEXTS[at], characters, str(round(SECONDS * 16000)), "MALE"]
        write_lines(root / f"hi_in/{split}.tsv", "\t".join(row))
        expected.append(Expected(TEXTS[at], "unknown", split))
    return expected


def make_mucs(root: Path) -> list[Expected]:
    expected = []
    for split, first in (("train", 0), ("test", 2)):
        names = [f"011{first}_061", f"011{first}_069"]
        for at, name in enumerate(names, first):
            write_tone(root / f"Hindi/{split}/audio/{name}.wav", TEXTS[at], rate=8000)
            expected.append(Expected(TEXTS[at], name[-3:], split))
        lines = [f"{name} {TEXTS[at]}" for at, name in enumerate(names, first)]
        write_lines(root / f"Hindi/{split}/transcription.txt", *lines)
    return expected


def make_shrutilipi(root: Path) -> list[Expected]:
    expected = []
    for at, place in enumerate(
        ["Regional-Bhopal-Hindi-0705-201810168277/sent_2", "Regional-Bhopal-Hindi-0705-201810168277/sent_11",
         "Regional-Patna-Hindi-1930-2019102143713/sent_1"]
    ):  # fmt: skip
        write_tone(root / f"hindi/{place}.wav", TEXTS[at])
        write_lines(root / f"hindi/{place}.txt", TEXTS[at])
        expected.append(Expected(TEXTS[at], "Regional-Bhopal" if at < 2 else "Regional-Patna", None))
    return expected


def make_kathbath(root: Path) -> list[Expected]:
    expected = []
    for at, (condition, folder, split, speaker) in enumerate(
        [("clean", "train", "train", "594"), ("clean", "valid", "dev", "594"), ("clean", "test_known", "test", "594"),
         ("clean", "test_unknown", "test", "973"), ("noisy", "test_known", "test", "594")]
    ):  # fmt: skip
        place = root / f"kb_data_{condition}_m4a/hindi/{folder}"
        name = f"84442493153786{at}-{speaker}-f.m4a"
        write_tone(place / "audio" / name, TEXTS[at], rate=44100)
        write_lines(place / "transcription_n2w.txt", f"{name}\t{TEXTS[at]}")
        expected.append(Expected(TEXTS[at], speaker, split, folder + ("_noisy" if condition == "noisy" else "")))
    return expected


def make_indicvoices(root: Path) -> list[Expected]:
    expected = []
    for at, (split, folder) in enumerate([("train", "train"), ("dev", "valid")]):
        texts = TEXTS[3 * at : 3 * at + 3]
        place = root / f"Hindi/v1/{folder}"
        place.mkdir(parents=True, exist_ok=True)
        silence = np.zeros(1600)
        pieces = [piece for text in texts for piece in (silence, make_tone(find_pitch(text)))]
        soundfile.write(place / f"225179981368878{at}.wav", np.concatenate(pieces), 16000)
        verbatim = [
            {
                "start": number * (SECONDS + 0.1) + 0.1,
                "end": (number + 1) * (SECONDS + 0.1),
                "text": text,
                "speaker_id": 0,
            }
            for number, text in enumerate(texts)
        ]
        verbatim[0]["text"] = f"[breathing] {texts[0]}"
        recording = {"speaker_id": f"S42562{at}", "scenario": "Extempore", "task_name": "DOI", "gender": "Female",
                     "verbatim": verbatim, "normalized": [{**item} for item in verbatim]}  # fmt: skip
        (place / f"225179981368878{at}.json").write_text(json.dumps(recording, ensure_ascii=False), encoding="utf-8")
        expected += [Expected(text, f"S42562{at}", split) for text in texts]
    return expected


def make_indictts(root: Path) -> list[Expected]:
    expected = []
    for at, speaker in enumerate(["hindi_female_mono", "hindi_male_mono"]):
        name = f"train_{speaker}_0000{at}"
        write_tone(root / speaker / "wav" / f"{name}.wav", TEXTS[at], rate=48000)
        write_lines(root / speaker / "txt.done.data", f'( {name} " {TEXTS[at]} " )')
        expected.append(Expected(TEXTS[at], speaker, None))
    write_lines(root / "hindi_male_english" / "txt.done.data", '( e1 " one " )')
    return expected


def make_gramvaani(root: Path) -> list[Expected]:
    expected = []
    for at, (folder, split) in enumerate([("GV_Train_100h", "train"), ("GV_Dev_5h", "dev"), ("GV_Eval_3h", "test")]):
        key = f"01-00036-0{at}"
        write_tone(root / folder / "Audio" / f"{key}.mp3", TEXTS[at], rate=8000)
        write_lines(root / folder / "text", f"{key} {TEXTS[at]}")
        write_lines(root / folder / "mp3.scp", f"{key} /speech/gramvaani/{folder}/Audio/{key}.mp3")
        write_lines(root / folder / "uttids", key)
        expected.append(Expected(TEXTS[at], "unknown", split))
    (root / "GV_Unlabeled_1000h" / "Audio").mkdir(parents=True)
    return expected


def make_huggingface(root: Path) -> list[Expected]:
    expected = []
    for at, (name, split) in enumerate([("train", "train"), ("validation", "dev"), ("test_known", "test")]):
        rows = []
        for text in TEXTS[2 * at : 2 * at + 2]:
            file = root.parent / f"{find_pitch(text)}.{'flac' if at else 'mp3'}"
            write_tone(file, text, rate=16000 if at else 44100)
            rows.append(
                {"audio": {"bytes": file.read_bytes(), "path": file.name}, "text": text, "speaker_id": f"s{at}"}
            )
            expected.append(Expected(text, f"s{at}", split, name if "_" in name else None))
        (root / "data").mkdir(exist_ok=True, parents=True)
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist(rows), root / f"data/{name}-00000-of-00001.parquet", row_group_size=1
        )
    return expected


def make_kaldi(root: Path) -> list[Expected]:
    expected = []
    for split, first in (("train", 0), ("dev", 2), ("test", 4)):
        texts = TEXTS[first : first + 2]
        place = root / split
        place.mkdir(parents=True)
        tones = np.concatenate([make_tone(find_pitch(text), rate=8000) for text in texts])
        soundfile.write(place / "call.wav", tones, 8000, subtype="ULAW")
        write_lines(place / "wav.scp", f"call-{split} call.wav")
        write_lines(place / "segments", *(f"u{at} call-{split} {at * SECONDS} {(at + 1) * SECONDS}" for at in range(2)))
        write_lines(place / "text", *(f"u{at} {text}" for at, text in enumerate(texts)))
        write_lines(place / "utt2spk", f"u0 A{first}", f"u1 B{first}")
        expected += [Expected(texts[0], f"A{first}", split), Expected(texts[1], f"B{first}", split)]
    return expected


def make_nemo(root: Path) -> list[Expected]:
    expected = []
    root.mkdir(parents=True)
    for split, name, first in (("train", "train_manifest.json", 0), ("dev", "valid_manifest.json", 3)):
        texts = TEXTS[first : first + 2]
        soundfile.write(root / f"{split}.flac", np.concatenate([make_tone(find_pitch(text)) for text in texts]), 16000)
        rows = [
            {
                "audio_filepath": f"{split}.flac",
                "offset": at * SECONDS,
                "duration": SECONDS,
                "text": text,
                "speaker": f"s{first}",
            }
            for at, text in enumerate(texts)
        ]
        write_tone(root / f"whole_{split}.wav", TEXTS[first + 2])
        rows.append(
            {"audio_filepath": f"whole_{split}.wav", "duration": 0.8, "text": TEXTS[first + 2], "subset": "news"}
        )
        write_lines(root / name, *(json.dumps(row, ensure_ascii=False) for row in rows))
        expected += [Expected(text, f"s{first}", split) for text in texts]
        expected.append(Expected(TEXTS[first + 2], "unknown", split, "news"))
    return expected


def make_tsv(root: Path) -> list[Expected]:
    write_tone(root / "audio/a.wav", TEXTS[0])
    write_lines(root / "transcripts.tsv", "path\tspeaker\ttext\tsplit", f"audio/a.wav\ts1\t{TEXTS[0]}\ttrain")
    return [Expected(TEXTS[0], "s1", "train")]


def make_csv(root: Path) -> list[Expected]:
    write_tone(root / "audio/a, b.wav", TEXTS[0], rate=24000, subtype="PCM_24")
    write_lines(root / "transcripts.csv", "text,path,station", f'"{TEXTS[0]}","audio/a, b.wav",Patna')
    return [Expected(TEXTS[0], "Patna", None)]


def make_librispeech(root: Path) -> list[Expected]:
    expected = []
    for at, (part, speaker) in enumerate([("train-clean-100", "19"), ("train-other-500", "20"), ("dev-clean", "84"),
                                          ("test-other", "121")]):  # fmt: skip
        folder, name = root / f"LibriSpeech/{part}/{speaker}/7{at}", f"{speaker}-7{at}-0000"
        write_tone(folder / f"{name}.flac", TEXTS[at])
        write_lines(folder / f"{speaker}-7{at}.trans.txt", f"{name} {TEXTS[at]}")
        expected.append(Expected(TEXTS[at], speaker, part.split("-")[0], part))
    return expected


def make_an4(root: Path) -> list[Expected]:
    expected = []
    for at, (split, speaker) in enumerate([("train", "fash"), ("train", "mgah"), ("test", "fcaw")]):
        name, part = f"an25{at}-{speaker}-b", "an4_clstk" if split == "train" else "an4test_clstk"
        write_tone(root / f"an4/wav/{part}/{speaker}/{name}.sph", TEXTS[at], format="NIST", subtype="PCM_16")
        file = root / f"an4/etc/an4_{split}.transcription"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        text = f"<s> {TEXTS[at]} </s>" if split == "train" else TEXTS[at]
        write_lines(file, *lines, f"{text} ({name})")
        expected.append(Expected(TEXTS[at], speaker, split))
    return expected


def make_openslr_indic(root: Path) -> list[Expected]:
    expected = []
    for at, voice in enumerate(["mlf", "mlf", "mlm"]):
        gender = "female" if voice == "mlf" else "male"
        folder = root / f"ml_in_{gender}"
        name = f"{voice}_0046{at}_0009458793{at}"
        write_tone(folder / f"{name}.wav", TEXTS[at], rate=48000)
        for index in (folder / "line_index.tsv", root / f"line_index_{gender}.tsv"):  # in the archive, and beside it
            lines = index.read_text(encoding="utf-8").splitlines() if index.exists() else []
            write_lines(index, *lines, f"{name}\t{TEXTS[at]}")
        expected.append(Expected(TEXTS[at], f"{voice}_0046{at}", None))
    return expected


def make_vaani(root: Path) -> list[Expected]:
    expected = []
    for at, place in enumerate(["Bihar/Gaya", "UttarPradesh/Etah"]):
        folder = root / f"audio/{place}"
        folder.mkdir(parents=True)
        rows = []
        for number in range(2):
            text = TEXTS[2 * at + number]
            file = root.parent / f"{find_pitch(text)}.wav"
            write_tone(file, text)
            rows.append(
                {
                    "audio": {"bytes": file.read_bytes(), "path": file.name},
                    "language": "Hindi",
                    "isTranscriptionAvailable": "Yes",
                    "transcript": text,
                    **({} if at else {"speakerID": f"s{number}"}),  # not every district has the column
                }
            )
            expected.append(Expected(text, "unknown" if at else f"s{number}", None))
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "train-00000-of-00001.parquet")
    return expected


LAYOUTS: dict[str, Callable[[Path], list[Expected]]] = {
    "an4": make_an4,
    "common_voice": make_common_voice,
    "csv": make_csv,
    "fleurs": make_fleurs,
    "gramvaani": make_gramvaani,
    "huggingface": make_huggingface,
    "indictts": make_indictts,
    "indicvoices": make_indicvoices,
    "kaldi": make_kaldi,
    "kathbath": make_kathbath,
    "librispeech": make_librispeech,
    "mucs": make_mucs,
    "nemo": make_nemo,
    "openslr_indic": make_openslr_indic,
    "shrutilipi": make_shrutilipi,
    "tsv": make_tsv,
    "vaani": make_vaani,
}  # fmt: skip
