"""From a corpus folder to manifests: reads the rows, checks and converts them in work units, splits and reports."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from data_prep.atomic import open_atomic
from data_prep.corpora import get_reader
from data_prep.languages.language import load_language
from data_prep.languages.scripts import ScriptCount, describe_foreign_scripts
from data_prep.manifest import encode_json, write_json, write_text
from data_prep.prepare.html_report import ExampleCollector, format_html
from data_prep.prepare.output_folder import MANIFESTS, claim_output
from data_prep.prepare.report import ReportBuilder
from data_prep.prepare.row_scan import RowScan, cut_units, scan_rows
from data_prep.prepare.settings import PrepareSettings
from data_prep.prepare.verdicts import Verdicts
from data_prep.prepare.work_units import UnitSettings, WorkUnit, count_folder_digits, process_unit, read_results
from data_prep.progress import ProgressBar
from data_prep.selection.kept_index import KeptIndex
from data_prep.selection.leaks import find_split_leaks
from data_prep.selection.splits import SPLITS
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import fingerprint_language, fingerprint_numbers
from data_prep.text.transliteration import fingerprint_transliteration


def prepare_corpus(settings: PrepareSettings) -> dict[str, Any]:
    """Turn a corpus into NeMo manifests, `rejected.jsonl`, `report.json` and `report.html`.

    A new run reuses what a killed one had finished. The files are the same for any number of workers.

    Args:
        settings: Settings of the job.

    Returns:
        The report, as written to `report.json`.

    Raises:
        ValueError: No row was read, there are too few speakers for the splits, or the output folder holds another
            corpus.
        OSError: The corpus or sox is missing, or the output folder is not writable.
    """
    reader = get_reader(settings.corpus, settings.columns, settings.language)
    labels = load_alphabet(Path(settings.alphabet).expanduser() if settings.alphabet else None, settings.language)
    scan = scan_rows(reader, settings.corpus_dir)
    unit_settings = UnitSettings(
        settings.output_dir,
        settings.corpus_name,
        tuple(labels),
        settings.limits,
        settings.channel,
        settings.trim_silence,
        settings.make_text_policy(),
        settings.split_by,
        settings.audio_column,
        count_folder_digits(scan.rows),
    )
    if not scan.rows:
        raise ValueError(
            f"corpus_dir={settings.corpus_dir}: found no row, expected one or more; check that the list of "
            "audio holds more than a header"
        )
    with claim_output(settings.output_dir, settings.corpus, settings.corpus_dir):
        units = cut_units(reader, settings.corpus_dir, unit_settings, settings.unit_size, scan.repeated)
        index = KeptIndex(SPLITS)
        paths = _process_units(units, settings, scan.rows, index)
        verdicts = Verdicts(index)
        verdicts.reject_duplicates(settings.duplicate_audio == "reject", settings.duplicate_text == "reject")
        verdicts.assign_splits(settings.fractions, settings.listed_speakers, settings.seed, settings.disjoint_text)
        return _write_outputs(settings, unit_settings, scan, paths, verdicts)


def _process_units(units: Iterator[WorkUnit], settings: PrepareSettings, total: int, index: KeptIndex) -> list[Path]:
    """Work through all units and index the kept rows; return the units' files in the order of the corpus."""
    paths: list[Path] = []

    def list_units() -> Iterator[WorkUnit]:
        for unit in units:
            paths.append(unit.path)
            yield unit

    reused = 0
    with ProgressBar(total=total, unit=" rows", desc="prepare", mininterval=0.5) as progress:
        for done in settings.make_engine().run(process_unit, list_units()):
            index.add(done.kept)
            reused += done.rows * done.reused
            progress.set_postfix_str(f"{reused} from an earlier run" if reused else "", refresh=False)
            progress.update(done.rows)
    return paths


def _write_outputs(
    settings: PrepareSettings, unit_settings: UnitSettings, scan: RowScan, paths: Sequence[Path], verdicts: Verdicts
) -> dict[str, Any]:
    """Write manifests and `rejected.jsonl` in one pass over the results, then the report; return the report."""
    splits = [split for split in SPLITS if settings.fractions.get(split) or verdicts.count_rows(split)]
    builder = ReportBuilder(unit_settings.alphabet, splits)
    language = load_language(settings.language)
    scripts = ScriptCount(language)
    manifests = {split: settings.output_dir / MANIFESTS[split] for split in splits}
    with ExitStack() as files:
        outputs = {split: files.enter_context(open_atomic(path)) for split, path in manifests.items()}
        rejected = files.enter_context(open_atomic(settings.output_dir / "rejected.jsonl"))
        examples = files.enter_context(ExampleCollector(settings.channel, settings.audio_column))
        for result, split in verdicts.judge(read_results(paths)):
            row = result["rejected"] if split is None else result
            scripts.add(str(row.get("text", "")), split is None)
            if split is None:
                builder.add_rejected(result["rejected"], result.get("cause"))
                examples.add(result["rejected"], result.get("audio"))
                rejected.write(encode_json(result["rejected"]) + b"\n")
            else:
                builder.add_kept(result, split)
                outputs[split].write(encode_json(result["kept"]) + b"\n")
    for split in set(SPLITS) - set(splits):  # the manifest of an earlier choice of splits
        (settings.output_dir / MANIFESTS[split]).unlink(missing_ok=True)
    report = {
        "corpus": settings.corpus,
        "corpus_dir": str(settings.corpus_dir),
        "source": settings.corpus_name,
        "normalizer_fingerprint": fingerprint_language(settings.language),
        "numbers_fingerprint": fingerprint_numbers(settings.make_text_policy()) or None,
        "transliteration_fingerprint": fingerprint_transliteration() if settings.latin == "transliterate" else None,
        "settings": settings.describe(),
        **builder.build(scan.rows),
        "notes": [*scan.notes, *describe_foreign_scripts(language, settings.language, scripts)],
        "leaks": find_split_leaks(manifests, language=settings.language),
    }
    write_text(settings.output_dir / "report.html", format_html(report, examples.chosen))
    write_json(settings.output_dir / "report.json", report)
    return report
