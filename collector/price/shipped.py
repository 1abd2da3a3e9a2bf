"""The table of the shipped card, written when that is compiled: to make it takes half a second of a first start."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from otel_cost.pricing.card import RateCard

PATH = Path(__file__).with_name("shipped_card.arrow")
"""An Arrow file of dictionaries (a seventh of the texts), whose metadata names the card."""
_DIGEST = b"card"
_COMPRESSION_LEVEL = 19


def read_table(card: RateCard, schema: pa.Schema, path: Path = PATH) -> pa.Table | None:
    """The table of a card, if it is the one that the file was written for, with the columns of today."""
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as kept:
            metadata = kept.schema.metadata or {}
            if metadata.get(_DIGEST) != card.digest.encode() or kept.schema.names != schema.names:
                return None
            return kept.read_all().cast(schema)
    except (OSError, pa.ArrowException):
        return None


def write_table(card: RateCard, table: pa.Table, path: Path = PATH) -> None:
    """Keep the table of a card for `read_table`."""
    columns = [column.dictionary_encode() if pa.types.is_string(column.type) else column for column in table.columns]
    kept = pa.table(columns, names=table.column_names).combine_chunks()
    kept = kept.replace_schema_metadata({_DIGEST: card.digest.encode()})
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", _COMPRESSION_LEVEL))
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, kept.schema, options=options) as writer:
        writer.write_table(kept)
