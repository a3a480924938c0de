"""What `pip install .` gives without an extra and what each extra adds, in environments that hold nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pillow_heif
import pytest

from arm_batch import cli
from arm_batch.cli import budget, exit_codes, ladder
from tests.archives import draw, write_png

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

REPOSITORY = Path(__file__).parents[1]

PHOTOGRAPHS = ("chelsea.png", "rocket.jpg")
"""Of those that scikit-image ships."""

OF_AN_EXTRA = ("matplotlib", "pandas", "pillow_heif", "skimage", "tensorboardX")
"""Packages that come with no other one's help."""

IMPORT_EVERYTHING = """
import importlib, pkgutil, arm_batch
for module in pkgutil.walk_packages(arm_batch.__path__, "arm_batch."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(arm_batch.__file__)
"""

HELP = """
import sys
from arm_batch import cli
for words in sys.argv[1:]:
    try:
        cli.main([*words.split(), "--help"])
    except SystemExit as ended:
        assert not ended.code, words
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and a folder outside the repository from which its Python is started."""

    folder: Path
    work: Path

    def python(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """What its Python does; nothing of the environment of the tests reaches it."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "VIRTUAL_ENV", "RAY_"))
        }
        # Other tests start clusters of this machine meanwhile, and each leaves its address behind.
        kept["RAY_ADDRESS"] = "local"
        command = [str(self.folder / "bin" / "python"), *map(str, arguments)]
        return subprocess.run(
            command, cwd=self.work, env=kept, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def run(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of ``arm-batch``."""
        done = self.python("-m", "arm_batch", *arguments)
        return done.returncode, done.stdout, done.stderr

    def install(self, *what: object) -> None:
        """As a person does, but what is never imported is not compiled."""
        options = ("--quiet", "--no-compile", "--constraint", REPOSITORY / "constraints.txt")
        done = self.python("-m", "pip", "install", *options, *what)
        assert done.returncode == 0, done.stderr

    def packages(self) -> set[str]:
        """Which of `OF_AN_EXTRA` it has."""
        code = f"from importlib.util import find_spec; print(*filter(find_spec, {OF_AN_EXTRA}))"
        return set(self.python("-c", code).stdout.split())


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """For two gigabytes that are gone at the end; pytest's own folders stay."""
    with tempfile.TemporaryDirectory(prefix="install-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    """Of the working tree, built beside it, so that nothing of an earlier build gets in."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(REPOSITORY / "arm_batch", source / "arm_batch", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "venv", str(folder / "builder")]
    subprocess.run(command, check=True)
    built = Environment(folder / "builder", folder).python(
        *("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source)
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def plain(folder: Path, wheel: Path) -> Environment:
    """What `pip install .` gives, and nothing else."""
    work = folder / "work"
    work.mkdir()
    (folder / "builder").rename(folder / "plain")
    made = Environment(folder / "plain", work)
    made.install(wheel)
    return made


@pytest.fixture
def with_extra(folder: Path, wheel: Path, plain: Environment) -> Callable[[str], Environment]:
    """The plain environment once more, with one extra; files that both have are on the disk once."""

    def make(extra: str) -> Environment:
        made = Environment(folder / extra, plain.work)
        shutil.copytree(plain.folder, made.folder, symlinks=True, copy_function=os.link)
        made.install(f"{wheel}[{extra}]")
        return made

    return make


@pytest.fixture(scope="module")
def archive(folder: Path) -> Path:
    """Two photographs."""
    archive = folder / "photographs"
    archive.mkdir()
    for name in PHOTOGRAPHS:
        (archive / name).write_bytes((resources.files("skimage.data") / name).read_bytes())
    return archive


def test_nothing_but_what_it_says_it_needs(plain: Environment) -> None:
    assert "include-system-site-packages = false" in (plain.folder / "pyvenv.cfg").read_text()
    assert plain.packages() == set()
    assert plain.python("-m", "pip", "check").returncode == 0
    done = plain.python("-c", IMPORT_EVERYTHING)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(plain.folder)


def test_help_of_every_command(plain: Environment) -> None:
    script = subprocess.run(
        [plain.folder / "bin" / "arm-batch", "--help"], cwd=plain.work, capture_output=True, text=True, check=False
    )
    assert script.returncode == 0, script.stderr
    assert all(f" {command} " in script.stdout for command in cli.COMMANDS)
    commands = [*cli.COMMANDS, *(f"budget {command.name}" for command in budget.app.registered_commands)]
    commands += [f"ladder {command.name}" for command in ladder.app.registered_commands]
    done = plain.python("-c", HELP, *commands)
    assert done.returncode == 0, done.stderr
    assert all(f" {command} " in done.stdout for command in commands)


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_the_main_job(plain: Environment, archive: Path, tmp_path: Path, executor: str) -> None:
    output = tmp_path / "out"
    code, out, err = plain.run("upscale", archive, output, "--budget", "10%", "--executor", executor)
    assert code == 0, err
    assert "images     2 (0 failed)" in out
    code, out, err = plain.run("verify", output)
    assert code == 0, err


def test_the_extra_demo(plain: Environment, with_extra: Callable[[str], Environment], tmp_path: Path) -> None:
    demo = REPOSITORY / "jobs" / "demo.py"
    without = plain.python(demo, tmp_path / "demo")
    assert_refused((without.returncode, without.stdout, without.stderr), "arm-batch[demo]")
    assert not (tmp_path / "demo").exists()
    made = with_extra("demo")
    assert made.packages() == {"skimage"}
    done = made.python(demo, tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "before_after.png").is_file()
    # The same environment has the command line, which needs no other extra.
    assert made.run("--help")[0] == 0


def test_the_extra_heif(plain: Environment, with_extra: Callable[[str], Environment], tmp_path: Path) -> None:
    pixels = draw(0, 48, 64)
    (tmp_path / "in").mkdir()
    pillow_heif.from_bytes("RGB", (64, 48), pixels.tobytes()).save(tmp_path / "in" / "a.heic")
    command = ("upscale", tmp_path / "in", tmp_path / "out", "--executor", "inline")
    code, _, err = plain.run(*command)
    assert code == exit_codes.FAILED_IMAGES
    assert "a.heic: is HEIF, which takes `pip install 'arm-batch[heif]'`" in err
    made = with_extra("heif")
    assert made.packages() == {"pillow_heif"}
    code, out, err = made.run(*command, "--retry-failed")
    assert code == 0, err
    assert "images     1 (0 failed)" in out


def test_the_extra_openvino(
    plain: Environment, with_extra: Callable[[str], Environment], archive: Path, tmp_path: Path
) -> None:
    command = ("upscale", archive, tmp_path / "out", "--executor", "inline", "--runtime", "openvino")
    assert_refused(plain.run(*command), "arm-batch[openvino]")
    made = with_extra("openvino")
    code, out, err = made.run(*command)
    assert code == 0, err
    assert "(0 failed)" in out


def test_the_extra_plot(
    plain: Environment, with_extra: Callable[[str], Environment], archive: Path, tmp_path: Path
) -> None:
    write_png(tmp_path / "val" / "HR" / "a.png", draw(1, 96, 96))
    write_png(tmp_path / "val" / "LRx4" / "a.png", draw(1, 24, 24))
    plan = ("plan", archive, "--executor", "inline", "--no-profiling", "--plot", tmp_path / "plan.png")
    evaluate = ("evaluate", "fsrcnn-x4", "--data", tmp_path / "val", "--plot", tmp_path / "evaluation.svg")
    for command in (plan, evaluate):
        assert_refused(plain.run(*command), "arm-batch[plot]")
    made = with_extra("plot")
    assert made.packages() == {"matplotlib"}
    for command in (plan, evaluate):
        code, _, err = made.run(*command)
        assert code == 0, err
    assert {path.name for path in tmp_path.iterdir()} == {"val", "plan.png", "evaluation.svg"}


def test_the_extra_train(plain: Environment, with_extra: Callable[[str], Environment], tmp_path: Path) -> None:
    for seed in range(5):
        write_png(tmp_path / "photos" / f"{seed}.png", draw(seed, 260, 260))
    photos = ("--data", tmp_path / "photos")
    train = ("train", *photos, "--steps", "1", "--batch", "1", "--crop", "8", "--scale", "2", "--out")
    on_ray = (*train, tmp_path / "on-ray", "--workers", "1")
    assert_refused(plain.run(*on_ray), "arm-batch[train]")
    assert not (tmp_path / "on-ray").exists()
    # In one process it takes no extra, nor does what comes after it.
    code, _, err = plain.run(*train, tmp_path / "alone")
    assert code == 0, err
    # So short a training makes no ladder, but to say so every image was measured.
    supernet = f"fsrcnn={tmp_path / 'alone' / 'weights.safetensors'}"
    options = ("--supernet", supernet, *photos, "--name", "mine", "--scale", "2", "--tile", "8")
    code, _, err = plain.run("build-lut", tmp_path / "ladder", *options)
    assert (code, "no subnet is better than interpolation" in err) == (exit_codes.USAGE, True), err
    made = with_extra("train")
    assert made.packages() == {"pandas", "tensorboardX"}
    code, _, err = made.run(*on_ray)
    assert code == 0, err
    assert (tmp_path / "on-ray" / "weights.safetensors").is_file()


def assert_refused(told: tuple[int, str, str], extra: str) -> None:
    """In one line that names the extra, before anything was done."""
    code, out, err = told
    assert (code, out) == (exit_codes.USAGE, "")
    assert f"pip install '{extra}'" in err
    assert len(err.splitlines()) == 1
