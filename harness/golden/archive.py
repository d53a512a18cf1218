"""Many small files in one archive: the same bytes for the same files, and nothing but plain files taken out again.

xz finds what is in there twice, however far apart: a saved tensor that the trace holds too costs next to nothing.
"""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from harness.refusal import Refused

LARGEST = 1 << 28  # bytes that an archive may come to: what claims more is no golden
_PRESET = 6  # its dictionary of 8 MiB is larger than all that a tiny model leaves
_DO = "pin it again: harness golden pin"


def packed(files: Mapping[str, bytes]) -> bytes:
    """The archive of files by their paths: no owners, no times."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
    return lzma.compress(tar.getvalue(), preset=_PRESET)


def unpacked(path: Path) -> dict[str, bytes]:
    """The files of an archive by their paths. Raises Refused for one that is damaged, or that no golden could be."""
    try:
        with tarfile.open(fileobj=io.BytesIO(_decompressed(path)), mode="r:") as archive:
            return {member.name: _content(archive, member, path) for member in archive}
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror or error}", where=str(path), do=_DO) from None
    except (lzma.LZMAError, tarfile.TarError, EOFError, ValueError) as error:
        raise Refused(f"is damaged: {error}", where=str(path), do=_DO) from None


def write_files(files: Mapping[str, bytes], directory: Path) -> None:
    """Files by their paths into a directory."""
    for name, data in files.items():
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _decompressed(path: Path) -> bytes:
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    data = decompressor.decompress(path.read_bytes(), LARGEST)
    if not decompressor.eof:
        raise ValueError("it is truncated, or larger than any golden")
    return data


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    place = PurePosixPath(member.name)
    file = archive.extractfile(member) if member.isreg() else None
    if file is None or place.is_absolute() or ".." in place.parts or "\\" in member.name:
        raise Refused(f"holds {member.name!r}, which is no plain file", where=str(path), do=_DO)
    return file.read()
