"""The bundled recipes: they load, build, carry the report's numbers, and run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from srsdk.errors import InputError
from srtrain.checkpoint import Checkpoint
from srtrain.config import Recipe, load_recipe, recipe_from_dict
from srtrain.loop import run
from srtrain.losses import build_objective
from srtrain.models import build_adversary, build_generator, growth_levels

from .conftest import descriptor_state, write_shard
from .test_losses import short_state, vgg19_state

RECIPES = Path(__file__).parents[2] / "train" / "srtrain" / "recipes"
PATHS = sorted(RECIPES.glob("*.toml"))
NAMES = [path.stem for path in PATHS]


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_recipes_load_and_build(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe_from_dict(recipe.to_dict()) == recipe
    assert f"-x{recipe.model.scale}" in recipe.name
    assert recipe.data.lr_patch * recipe.model.scale <= recipe.data.hr_side
    assert recipe.data.terms
    small = dataclasses.replace(recipe, adversary=dataclasses.replace(recipe.adversary, features=2))
    assert build_generator(recipe.model).scale == recipe.model.scale
    if build_objective(recipe) is not None:
        build_adversary(small)
    assert bool(recipe.loss.teacher) == bool(recipe.run.teacher)


def test_every_row_of_the_report_has_its_recipe_and_a_quick_one() -> None:
    rows = [f"{kind}-{x}" for kind in ("srresnet", "srgan", "srwgan-gp", "srpggan")
            for x in ("x4", "x8")]  # fmt: skip
    rows += ["srresnet-vgg-x4", "srresnet-mix-x4", "edge-x2", "edge-x4", "edge-x8"]
    others = {"srresnet-x4-start", "portrait-x2-start", "portrait-x2", "portrait-x4", "edge-m-x4"}
    others |= {"portrait-x2-end", "portrait-x4-end"}
    assert set(NAMES) == {*rows, *(f"{row}-quick" for row in rows), *others}


def test_the_reports_numbers() -> None:
    def recipe(name: str) -> Recipe:
        return load_recipe(RECIPES / f"{name}.toml")

    for name in ("srresnet-x4", "srgan-x4"):
        plain = recipe(name)
        config = plain.run
        assert (config.steps, config.batch, config.learning_rate) == (200_000, 8, 8e-5)
        assert (plain.model.blocks, plain.data.lr_patch, plain.data.hr_side) == (8, 32, 128)
        assert plain.loss.mse == 1.0
    assert recipe("srgan-x4").loss.nsgan == 1e-3
    assert recipe("srgan-x4").adversary.steps == 1
    wgan = recipe("srwgan-gp-x4")
    assert (wgan.run.steps, wgan.adversary.steps, wgan.adversary.gradient_penalty) == (
        20_000,
        3,
        10,
    )
    assert wgan.run.start_from.endswith("srresnet-x4/last.pt")
    assert wgan.loss.mse > 0 < wgan.loss.vgg
    assert [growth_levels(recipe(f"srpggan-{x}")) for x in ("x4", "x8")] == [2, 3]
    assert recipe("srpggan-x8").data.hr_side == 256
    assert recipe("portrait-x4").data.degradation == "camera"


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of 72 pixels in a shard and the same number in a folder, and VGG19s."""
    from .conftest import picture

    root = tmp_path_factory.mktemp("faces")
    write_shard(root / "train-a-00.tar", 0, 3)
    write_shard(root / "dev-a-00.tar", 10, 2)
    for part, first in (("train", 20), ("dev", 30)):
        (root / "folder" / part).mkdir(parents=True)
        for n in range(first, first + 2):
            picture(n).save(root / "folder" / part / f"{n}.png")
    torch.save(vgg19_state(), root / "long.pt")
    torch.save(short_state(), root / "short.pt")
    torch.save(descriptor_state(), root / "descriptor.pt")
    return root


def describer(faces: Path) -> str:
    return f"identity.weights={faces / 'descriptor.pt'}"


@pytest.fixture(scope="module")
def trained(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Little checkpoints for recipes that start from one, or learn from one."""
    root = tmp_path_factory.mktemp("trained")
    made = {}
    for name, options in (
        ("srresnet-x4", []),
        ("srresnet-x4-start", []),
        ("edge-m-x4", []),
        ("portrait-x2-start", [f"vgg.weights={faces / 'short.pt'}", describer(faces)]),
        *(
            (name, [f"vgg.weights={faces / 'short.pt'}", describer(faces), "run.start_from="])
            for name in ("portrait-x2", "portrait-x4")
        ),
        ("srresnet-x8", []),
        ("srpggan-x8", [f"vgg.weights={faces / 'long.pt'}"]),
    ):
        run(tiny(name, [*options, "run.steps=1"]), faces, root / name)
        made[name] = str(root / name / "last.pt")
    return made


def tiny(name: str, options: list[str]) -> Recipe:
    """A bundled recipe made small: narrower networks, fewer and smaller faces, two steps."""
    path = RECIPES / f"{name}.toml"
    model = load_recipe(path).model
    scale, features = model.scale, 8 if model.architecture == "edge" else 48
    clips = ["data.clips=6"] if load_recipe(path).data.clips else []
    return load_recipe(
        path,
        [
            f"model.features={features}", "model.blocks=1", "data.hr_side=64", "data.views=1",
            f"data.lr_patch={64 // scale // 2}", "data.workers=0", "adversary.features=2",
            "adversary.dense=4", "run.steps=2", "run.batch=2", *clips, *options,
        ],
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_runs(name: str, faces: Path, trained: dict[str, str], tmp_path: Path) -> None:
    """From shards, and quick ones from a folder."""
    recipe = load_recipe(RECIPES / f"{name}.toml")
    options = []
    if recipe.loss.vgg:
        file = "short.pt" if recipe.vgg.layers == ("conv3_1",) else "long.pt"
        options.append(f"vgg.weights={faces / file}")
    if recipe.loss.identity:
        options.append(describer(faces))
    for key in ("start_from", "teacher"):
        path = getattr(recipe.run, key)
        if path:
            options.append(f"run.{key}={trained[path.split('/')[1]]}")
    root = faces
    if name.endswith("-quick"):
        root = faces / "folder"
        options += ["data.train=['train']", "data.dev=['dev']"]
    run(tiny(name, options), root, tmp_path)
    saved = Checkpoint.load(tmp_path / "last.pt")
    assert saved.step == 2
    kinds, sets = ({name.partition("/")[part] for name in saved.scores} for part in (0, 2))
    assert len(sets) == (2 if recipe.data.degradation == "camera" or recipe.data.clips else 1)
    assert kinds >= {"psnr_rgb", "ssim", "spectrum", "grid"}
    assert ("vgg" in kinds) == bool(recipe.loss.vgg)
    assert all(v > 5 for name, v in saved.scores.items() if name.startswith("psnr_rgb/"))
    assert len(saved.history) == bool(recipe.run.start_from)


def test_extending_and_its_errors(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("[run]\nsteps = 5\nbatch = 3\n[loss]\nl1 = 1\n")
    child = tmp_path / "child.toml"
    child.write_text('extends = "base"\n[run]\nsteps = 7\n')
    recipe = load_recipe(child, ["run.seed=4"])
    assert (recipe.name, recipe.run.steps, recipe.run.batch) == ("child", 7, 3)
    assert (recipe.run.seed, recipe.loss.l1) == (4, 1.0)
    child.write_text('extends = "none"\n')
    with pytest.raises(InputError, match=r"cannot read recipe .*none\.toml"):
        load_recipe(child)
    child.write_text('extends = "child"\n')
    with pytest.raises(InputError, match="extends itself"):
        load_recipe(child)
    child.write_text('extends = "base"\n[run]\nstep = 7\n')
    with pytest.raises(InputError, match=r"unknown key 'run\.step'; did you mean 'run\.steps'"):
        load_recipe(child)
