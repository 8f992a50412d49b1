"""Whether a compressed stream is whole: readers stop at the last voxel, before the checksum that would show damage."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from ..errors import UserError

_CHUNK = 1 << 20  # bytes
_SLACK = 1 << 26  # bytes that may follow the voxels, for footers and padding
_AUTOMATIC = zlib.MAX_WBITS | 32  # zlib tells gzip's header from its own
_GZIP = b"\x1f\x8b"


def check_compressed(file: BinaryIO, where: str, expected: int | None) -> None:
    """Decompress a gzip or zlib stream to its end, so that zlib compares the checksum; nothing is kept.

    Parameters
    ----------
    file
        At the stream's first byte.
    where
        What messages call it.
    expected
        Bytes that it must hold; None if another reader compares that.

    Raises
    ------
    UserError
        If it breaks off, its checksum differs, or it holds far more or less than it should.
    """
    stream = zlib.decompressobj(_AUTOMATIC)
    total = 0
    pending = b""
    try:
        while pending or (pending := file.read(_CHUNK)):
            if stream.eof:
                if not pending.startswith(_GZIP):
                    break  # padding after the last member
                stream = zlib.decompressobj(_AUTOMATIC)
            total += len(stream.decompress(pending, _CHUNK))
            pending = stream.unused_data if stream.eof else stream.unconsumed_tail
            if expected is not None and total > expected + _SLACK:
                raise UserError(
                    f"{where} holds far more data than its header says ({total} bytes and more, not {expected}): "
                    "copy or export it again."
                )
    except zlib.error as error:
        raise UserError(f"{where} is damaged inside its compression ({error}): copy or export it again.") from error
    if not stream.eof or total < (expected or 0):
        raise UserError(f"{where} breaks off after {total} bytes of data: copy or export it again.")
