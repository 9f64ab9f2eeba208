"""How counts are spelled for people. A leaf: imports nothing of vta."""


def counted(n: int, one: str, several: str = "") -> str:
    """Spell a count with its noun, and a verb where one follows.

    Parameters
    ----------
    n : int
        How many.
    one : str
        What follows the number 1.
    several : str
        What follows any other number; left out: `one` with an s.

    Examples
    --------
    >>> counted(1, "image"), counted(2000, "image"), counted(0, "image")
    ('1 image', '2,000 images', '0 images')
    >>> counted(1, "file was", "files were")
    '1 file was'
    """
    return f"{n:,} {one if n == 1 else several or one + 's'}"
