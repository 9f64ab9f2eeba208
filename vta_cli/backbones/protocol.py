"""What a backbone is to the rest of vta: a name, a recipe, and pixels in, vectors out.

Light on purpose: whoever plans, lists or compares backbones reads this file and loads no network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from vta_cli.records import Pixels, Preprocess, Recipe, Vectors


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone by name, before anything of it is loaded.

    Attributes
    ----------
    name : str
        Full name, e.g. ``open_clip:ViT-L-14-336-quickgelu/openai``; the recipe carries it.
    family : str
        ``classic``, ``open_clip``, ``timm`` or ``onnx``.
    dim : int or None
        Columns of a vector; None until the network is loaded (free names).
    preprocess : Preprocess or None
        Resize, crop and filter; None until the network is loaded (free names).
    mean, std : tuple of float
        Per channel, of pixels in 0..1 for networks of torch; empty where not known yet.
    pool : str
        How the network's output becomes one vector; ``default`` leaves it to the library.
    licence : str
        Licence of the weights, as their publisher states it.
    hub : str
        Where people find the weights, in words.
    aliases : tuple of str
        Other names, such as those of the original VTA.
    extra : str
        pip extra that the family needs, empty if none.
    notes : str
        A sentence for people.
    repo : str
        Repository of the weights on the Hugging Face hub, empty if none is known.
    files : tuple of str
        File names by which a folder or cache of weights may hold them, the best first.
    path : str
        File or folder that the user named as the backbone itself (``onnx:PATH``), else empty.
    config : str
        Path of the file that describes an ONNX network, where the backbone ships with one.
    architecture : str
        Digest of the architecture, where it comes from a file and not with the name.
    exact : bool
        Whether pictures are decoded and resized as the network's own transform does it, bit for
        bit, or in the faster way of torch networks (`RESIZE`).
    """

    name: str
    family: str
    dim: int | None = None
    preprocess: Preprocess | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    pool: str = "default"
    licence: str = ""
    hub: str = ""
    aliases: tuple[str, ...] = ()
    extra: str = ""
    notes: str = ""
    repo: str = ""
    files: tuple[str, ...] = ()
    path: str = ""
    config: str = ""
    architecture: str = ""
    exact: bool = False

    @property
    def label(self) -> str:
        """The name without its family."""
        return self.name.partition(":")[2] or self.name


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights at hand.

    Attributes
    ----------
    path : str
        The file; empty for a backbone that needs none.
    digest : str
        BLAKE3 of the file's bytes, 64 hex digits; ``none`` for a backbone that needs none.
    source : {"none", "file", "cache"}
        Whether no weights are needed, the user named them, or a hub's cache holds them.
    """

    path: str
    digest: str
    source: Literal["none", "file", "cache"]


RESIZE = "torch-uint8/jpeg-half/2"
"""What the extra of a recipe says of its resize, where that is not Pillow's of the full picture:
torch's, of JPEGs that are decoded at half their size by the second rule of `images.picture`, which
leaves four times the target, or three times one of 384 px and more."""


class Backbone(Protocol):
    """Frozen pixels → vector; loaded, ready, in inference mode.

    Attributes
    ----------
    recipe : Recipe
        The complete recipe of the vectors that `embed` returns.
    threads : bool
        True: several threads may call `embed` at once, and gain by it. False: one caller.
    batch_size : int
        A sensible number of pictures per call; may change from one call to the next.
    resize : callable or None
        From pixels, (width, height) and a filter's name to pixels of that size, where the recipe
        wants another resize than Pillow's; None if and only if the recipe is exact.
    """

    recipe: Recipe
    threads: bool
    batch_size: int
    resize: Callable[[Pixels, tuple[int, int], str], Pixels] | None

    def embed(self, batch: Sequence[Pixels]) -> Vectors:
        """Embed pictures that already went through the recipe's preprocessing.

        Parameters
        ----------
        batch : sequence of n ndarray of shape (height, width, 3), uint8

        Returns
        -------
        ndarray of shape (n, dim), float32
            Row i is a function of picture i alone, never of its batch-mates. Not normalised.
        """

    def close(self) -> None:
        """Give memory back; the backbone is not used afterwards."""


@runtime_checkable
class Telling(Protocol):
    """A backbone with something to say to the user once it is loaded.

    Attributes
    ----------
    notes : tuple of str
    """

    notes: tuple[str, ...]


@runtime_checkable
class Ahead(Protocol):
    """A backbone on a device of its own, which works while the host prepares the next batch.

    Attributes
    ----------
    n_ahead : int
        Batches that may be begun before the oldest is fetched; 0 where nothing is gained.
    """

    n_ahead: int

    def start(self, batch: Sequence[Pixels]) -> Callable[[], Vectors]:
        """Begin `Backbone.embed`; the returned function waits for its vectors."""


def is_exact(recipe: Recipe) -> bool:
    """Tell whether a recipe's pictures are decoded and resized as the network's own transform does.

    Bit for bit, that is; otherwise its extra names another way, such as `RESIZE`.
    """
    return "resize" not in recipe.extra


def net_recipe(
    spec: BackboneSpec, digest: str, precision: Literal["fp32", "bf16", "fp16"]
) -> Recipe:
    """Return the recipe of a torch network whose spec is complete.

    One function for planning without the network and for the loaded network, so that the two can
    never disagree.

    Raises
    ------
    ValueError
        If the spec lacks `dim` or `preprocess`.
    """
    if spec.dim is None or spec.preprocess is None:
        msg = f"{spec.name}: the recipe is not known before the network is loaded"
        raise ValueError(msg)
    extra: dict[str, Any] = {"mean": list(spec.mean), "std": list(spec.std), "pool": spec.pool}
    if spec.architecture:
        extra["architecture"] = spec.architecture
    if not spec.exact:
        extra["resize"] = RESIZE
    return Recipe(
        backbone=spec.name,
        weights=digest,
        dim=spec.dim,
        preprocess=spec.preprocess,
        precision=precision,
        extra=extra,
    )
