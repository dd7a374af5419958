"""Audio inside Parquet files, as the Hugging Face Hub stores it: the bytes of one row at a time."""

from typing import Any

from data_prep.audio.errors import UnreadableAudioError


def find_audio_column(schema: Any) -> str | None:
    """Name the column that holds audio: the first struct with a field `bytes`, as `datasets.Audio` stores it."""
    import pyarrow

    for field in schema:
        if pyarrow.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return str(field.name)
    return None


class AudioCells:
    """Reads the audio of Parquet rows and keeps the last row group.

    Rows are asked for in order, and a group (100 rows by the Hub's default) holds the audio of many: reading it once a
    row would be reading it a hundred times.
    """

    def __init__(self, column: str | None = None) -> None:
        """Set up a reader.

        Args:
            column: Name of the column of audio; `None` for the first one of each file.
        """
        self._chosen = column
        self._path = ""
        self._first = 0
        self._column: Any = ()

    def read(self, path: str, row: int) -> bytes:
        """Read the encoded audio of one row.

        Args:
            path: Parquet file.
            row: The row, from 0.

        Raises:
            UnreadableAudioError: The file cannot be read, or the row has no audio.
        """
        import pyarrow  # half a second to import: not for those who read no Parquet file

        try:
            if self._path != path or not 0 <= row - self._first < len(self._column):
                self._read_group(path, row)
            cell = self._column[row - self._first].as_py()
        except (pyarrow.ArrowException, OSError, IndexError, KeyError) as error:
            raise UnreadableAudioError(f"row {row} of the Parquet file cannot be read: {error}") from error
        content = cell.get("bytes") if cell else None
        if not content:
            raise UnreadableAudioError(f"row {row} of the Parquet file holds no audio bytes")
        return bytes(content)

    def _read_group(self, path: str, row: int) -> None:
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            name = self._chosen or find_audio_column(file.schema_arrow)
            if name is None:
                raise KeyError("no column with audio bytes")
            first = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if row < first + rows:
                    self._column = file.read_row_group(group, columns=[name], use_threads=False).column(name)
                    self._path, self._first = path, first
                    return
                first += rows
        raise IndexError(f"it has {first} rows")
