"""The key file of a shard: a parquet table with one column of 32-byte keys, in row order.

The only module of the room that imports pyarrow (a quarter of a second); others import it late.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vta_cli.records import KEY_BYTES, Keys

COLUMN = "key"
_SCHEMA = pa.schema([pa.field(COLUMN, pa.binary(KEY_BYTES), nullable=False)])


def encode_keys(keys: Keys) -> memoryview:
    """Return the content of a key file.

    Plain and uncompressed: digests do not compress, and a plain page is read by copying memory.

    Parameters
    ----------
    keys : ndarray of shape (n, 32), uint8
    """
    data = pa.py_buffer(np.ascontiguousarray(keys).data)
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(keys), [None, data])
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table([column], schema=_SCHEMA),
        sink,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
    )
    return memoryview(sink.getvalue())


def decode_keys(content: memoryview) -> Keys:
    """Return the keys of a key file.

    Raises
    ------
    ValueError
        If the content is no such table.
    """
    try:
        # `read_table` goes through datasets and a pool of threads, and a process that ends while
        # the pool is still starting is aborted by the C++ runtime
        file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(content)), pre_buffer=False)
        table = file.read(columns=[COLUMN], use_threads=False)
        column = table.column(COLUMN)
        if column.type != pa.binary(KEY_BYTES) or column.null_count:
            raise ValueError(f"column {COLUMN} is {column.type}, not whole keys")
    except (pa.ArrowException, KeyError, OSError) as error:
        raise ValueError(f"not a key file: {error}") from error
    parts = [_plain(chunk) for chunk in column.chunks if len(chunk)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty((0, KEY_BYTES), np.uint8)


def _plain(chunk: Any) -> Keys:
    data = np.frombuffer(chunk.buffers()[1], np.uint8)
    start = chunk.offset * KEY_BYTES
    keys: Keys = data[start : start + len(chunk) * KEY_BYTES].reshape(-1, KEY_BYTES)
    return keys
