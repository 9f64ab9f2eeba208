"""What a file's first bytes say it is. Content decides; a suffix is only a hint.

This module opens no file and imports no decoder, so that listing and sniffing stay cheap.
"""

import re
from pathlib import PurePath

SNIFF_BYTES = 64
"""Bytes of a file that `sniff` wants to see [bytes]; 32 are enough for all but rare brands."""

DECODABLE: frozenset[str] = frozenset(
    {
        "AVIF",
        "BMP",
        "DDS",
        "FITS",
        "GIF",
        "HEIF",
        "ICO",
        "JPEG",
        "JPEG2000",
        "PCX",
        "PNG",
        "PPM",
        "PSD",
        "QOI",
        "TGA",
        "TIFF",
        "WEBP",
    }
)
"""The formats that vta decodes, by Pillow's names.

Left out on purpose: formats that start another program or run code (EPS, WMF, EMF, SVG), stubs
without a decoder (GRIB, HDF5, BUFR, MPEG), and decoders of museum formats whose only files in the
wild are attacks (FLI, BLP, SGI, Sun raster). A JPEG with several pictures (MPO) counts as JPEG.
"""

SIDE_SUFFIXES: tuple[str, ...] = (
    # text, tables, settings, source
    *(".txt", ".json", ".jsonl", ".csv", ".tsv", ".md", ".rst", ".xml", ".yaml", ".yml", ".toml"),
    *(".ini", ".cfg", ".log", ".html", ".htm", ".css", ".js", ".py", ".sh", ".ipynb"),
    # metadata beside photographs
    *(".xmp", ".aae", ".thm", ".pp3", ".dop", ".lrcat", ".picasa", ".url"),
    # arrays, tables, weights, databases
    *(".npy", ".npz", ".parquet", ".arrow", ".safetensors", ".pt", ".pth", ".onnx", ".h5", ".hdf5"),
    *(".mat", ".pkl", ".db", ".sqlite", ".sqlite3"),
    # archives
    *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"),
    # sound, video, documents
    *(".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mp3", ".m4a", ".wav", ".flac", ".ogg"),
    *(".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx"),
)
"""Suffixes (lower case) of files that lie beside images and are none."""

SIDE_NAMES: frozenset[str] = frozenset({".ds_store", "thumbs.db", "desktop.ini", "icon\r"})
"""Names (lower case) of files that file managers leave behind."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    # (offset, bytes, name); the first that fits wins, so longer ones stand before shorter ones
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"II*\x00\x10\x00\x00\x00CR", "raw (Canon CR2)"),
    (0, b"IIRO", "raw (Olympus ORF)"),
    (0, b"IIRS", "raw (Olympus ORF)"),
    (0, b"MMOR", "raw (Olympus ORF)"),
    (0, b"IIU\x00", "raw (Panasonic RW2)"),
    (0, b"FUJIFILMCCD-RAW", "raw (Fujifilm RAF)"),
    (0, b"FOVb", "raw (Sigma X3F)"),
    (6, b"HEAPCCDR", "raw (Canon CRW)"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II+\x00", "TIFF"),
    (0, b"MM\x00+", "TIFF"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG2000"),
    (0, b"qoif", "QOI"),
    (0, b"8BPS", "PSD"),
    (0, b"DDS ", "DDS"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (0, b"BPG\xfb", "BPG"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"%!PS", "EPS"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF"),
    (0, b"\x01\x00\x09\x00\x00\x03", "WMF"),
    (40, b" EMF", "EMF"),
    (0, b"gimp xcf", "XCF"),
    (0, b"icns", "ICNS"),
    (0, b"\x8aMNG\r\n\x1a\n", "MNG"),
    (0, b"BLP1", "BLP"),
    (0, b"BLP2", "BLP"),
    (0, b"\x59\xa6\x6a\x95", "Sun raster"),
    (0, b"/* XPM", "XPM"),
    (0, b"AT&TFORM", "DjVu"),
    (0, b"<svg", "SVG"),
)

_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_BMP_HEADER_BYTES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_PPM = re.compile(rb"P(?:[1-6]\s+[0-9#]|[fF]\s)")
_SGI = re.compile(rb"\x01\xda[\x00\x01][\x01\x02]\x00[\x01-\x03]", re.DOTALL)
_PCX = re.compile(rb"\x0a[\x00\x02-\x05]\x01[\x01\x02\x04\x08]", re.DOTALL)
_SVG = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<(?:\?xml|!--|!DOCTYPE svg)", re.IGNORECASE)
_TGA_FOOTER = b"TRUEVISION-XFILE.\x00"


def is_side_file(path: str) -> bool:
    """Tell whether the name alone says that `path` lies beside images and is none.

    Examples
    --------
    >>> is_side_file("shots/IMG_1.XMP"), is_side_file("shots/IMG_1.dat")
    (True, False)
    """
    name = PurePath(path).name.lower()
    return name.endswith(SIDE_SUFFIXES) or name in SIDE_NAMES


def sniff(head: bytes) -> str | None:
    """Name the image format that the first bytes of a file announce.

    Parameters
    ----------
    head : bytes
        The first `SNIFF_BYTES` of the file, or more.

    Returns
    -------
    str or None
        A member of `DECODABLE`; another name for an image format that vta does not decode; None
        where the bytes announce no image.

    Examples
    --------
    >>> sniff(b"GIF89a....")
    'GIF'
    """
    if head[4:8] == b"ftyp":
        return _iso_brand(head)
    if head[:4] == b"RIFF":
        return "WEBP" if head[8:12] == b"WEBP" else None
    for offset, magic, name in _MAGIC:
        if head.startswith(magic, offset):
            return name
    return _loose(head)


def identify(data: bytes) -> str | None:
    """Name the format of a whole file: `sniff`, and what only the rest of the file tells."""
    name = sniff(data[: max(SNIFF_BYTES, 512)])
    if name is None and data.endswith(_TGA_FOOTER):
        return "TGA"  # a Targa file has no magic at its start; without the footer it is a guess
    if name is None and _SVG.match(data) and b"<svg" in data[:4096]:
        return "SVG"
    return name


def is_cut_short(data: bytes, name: str) -> bool:
    """Tell whether the container `name` announces more bytes than `data` holds.

    Used to choose between the reasons ``truncated`` and ``corrupt`` after a decoder has failed;
    a file that decodes is never refused for this.
    """
    match name:
        case "JPEG":
            return b"\xff\xd9" not in data
        case "PNG":
            return b"IEND" not in data[-16:]
        case "GIF":
            return not data.rstrip(b"\x00").endswith(b";")
        case "WEBP":
            return int.from_bytes(data[4:8], "little") + 8 > len(data)
        case "BMP":
            return int.from_bytes(data[2:6], "little") > len(data)
        case "AVIF" | "HEIF":
            return _boxes_overrun(data)
        case _:
            return False


def _iso_brand(head: bytes) -> str | None:
    # ISO/IEC 14496-12 `ftyp` box: size, "ftyp", major brand, minor version, compatible brands
    size = int.from_bytes(head[:4], "big")
    major = head[8:12]
    if major == b"crx ":
        return "raw (Canon CR3)"
    end = min(size, len(head))
    brands = {major, *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None


def _loose(head: bytes) -> str | None:
    """Formats whose magic is so short that more of the header must be plausible."""
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return "BMP"
    if head[:4] in (b"\x00\x00\x01\x00", b"\x00\x00\x02\x00") and head[4:6] not in (b"", b"\0\0"):
        return "ICO" if head[2] == 1 else "CUR"
    if _PPM.match(head):
        return "PPM"
    if _PCX.match(head):
        return "PCX"
    if _SGI.match(head):
        return "SGI"
    if head[4:6] in (b"\x11\xaf", b"\x12\xaf") and head[14:16] in (b"\0\0", b"\3\0"):
        return "FLI"
    return None


def _boxes_overrun(data: bytes) -> bool:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:  # the box runs to the end of the file
            return False
        if size < 8:
            return False
        at += size
    return at > len(data)
