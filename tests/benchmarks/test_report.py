"""One command writes what was measured to every place that quotes it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from benchmarks import committed, published, report
from engine.paths import PROJECT


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The parts of the project that quote results, in a place where they may be changed."""
    folder = tmp_path / "project"
    shutil.copytree(PROJECT / "configs", folder / "configs")
    shutil.copytree(committed.RESULTS, folder / "benchmarks" / "results")
    shutil.copy(PROJECT / "README.md", folder)
    shutil.copytree(PROJECT / "docs", folder / "docs")
    monkeypatch.setattr(report, "PROJECT", folder)
    monkeypatch.setattr(published, "PAGE", folder / "docs" / "results.md")
    monkeypatch.setattr(committed, "RESULTS", folder / "benchmarks" / "results")
    return folder


def measured(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """A comparison as it would be if other numbers had been measured: (file, what is there, what is there instead)."""
    shutil.copytree(committed.RESULTS / "mnist", folder)
    for name, there, instead in changes:
        text = (folder / name).read_text()
        assert there in text
        (folder / name).write_text(text.replace(there, instead))
    return folder


def test_a_new_measurement_reaches_the_table_and_the_headers(copy: Path, tmp_path: Path) -> None:
    before = {path: path.read_text().splitlines() for path in report.headers()}
    machine = json.loads((committed.RESULTS / "mnist" / "environment.json").read_text())["machine"]
    accuracies = [
        row["test_acc"] for row in committed.rows_of(committed.RESULTS / "mnist") if row["config"] == "linear"
    ]
    changes = [("environment.json", machine, "An abacus"), *(("results.csv", one, "0.1234") for one in accuracies)]
    report.take("mnist", measured(tmp_path / "comparison", *changes))
    for page in ("README.md", "docs/results.md"):
        text = (copy / page).read_text()
        assert "12.34 ± 0.00 %" in text
        assert "2 cores of a shared An abacus" in text
        assert text.count("<!-- end of results -->") == text.count("<!-- results: ")
    for path, lines in before.items():
        after = path.read_text().splitlines()
        is_measured = str(path.relative_to(copy)) in committed.SETS["mnist"].configs
        assert after[2].endswith("cores of a shared An abacus") == is_measured
        assert after[:2] + after[3:] == lines[:2] + lines[3:], "nothing but the line on the result changes"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("environment.json", '"dirty": false', '"dirty": true'), "uncommitted changes"),
        (("results.csv", "finished", "failed"), "has failed runs or a subset of the data"),
        (("results.csv", "MNIST", "MNIST-5k"), "has failed runs or a subset of the data"),
        (("results.csv", "lstm,", "stml,"), "has other configs or seeds than the set mnist"),
    ],
)
def test_what_is_not_fit_to_be_quoted_changes_nothing(
    change: tuple[str, str, str], complaint: str, copy: Path, tmp_path: Path
) -> None:
    before = (copy / "README.md").read_text()
    with pytest.raises(ValueError, match=complaint):
        report.take("mnist", measured(tmp_path / "comparison", change))
    assert (copy / "README.md").read_text() == before


@pytest.mark.parametrize("is_quick", [False, True])
@pytest.mark.parametrize("name", committed.SETS)
def test_the_measurement_runs_every_quoted_config_with_its_seeds(
    name: str, is_quick: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def main(arguments: list[str]) -> int:
        asked[:] = arguments
        return 0

    monkeypatch.setattr("compare.main", main)
    monkeypatch.setattr(report, "git", lambda *_: "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(report, "RUNS", tmp_path)
    folder = report.measure(name, is_quick)
    configs, num_seeds, flags, _ = committed.SETS[name]
    seeds = [str(seed) for seed in range(1 if is_quick else num_seeds)]
    expected = [*(str(PROJECT / config) for config in configs), "--seeds", *seeds]
    expected += ["--name", folder.name, "--runs_dir", str(tmp_path)]
    more = ["--", *flags] if flags else []
    assert asked == expected + more
    folder.mkdir()
    assert report.measure(name) == folder, "the full measurement goes on with the quick one"
    assert "--resume" in asked
    monkeypatch.setattr(report, "git", lambda *_: " M train.py")
    with pytest.raises(ValueError, match="a result belongs to a commit; commit what"):
        report.measure(name)


def test_a_quick_measurement_shows_its_table_and_changes_nothing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (copy / "README.md").read_text()
    folder = measured(tmp_path / "comparison")
    head, *rows = (folder / "results.csv").read_text().splitlines()
    first = [row for row in rows if row.split(",")[head.split(",").index("seed")] == "0"]
    (folder / "results.csv").write_text("\n".join([head, *first]) + "\n")
    monkeypatch.setattr(report, "measure", lambda name, is_quick: folder)
    assert report.main(["--quick", "mnist"]) == 0
    shown = capsys.readouterr().out
    for config in committed.SETS["mnist"].configs:
        assert re.search(rf"\| {config[8:-5]} \|.* \| 1 \| .* \| (one seed|-) \|", shown)
    assert (copy / "README.md").read_text() == before


def test_what_takes_a_gpu_is_not_measured_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "git", lambda *_: "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="the set gpu_digits takes a CUDA GPU, and PyTorch finds none here"):
        report.measure("gpu_digits")


def test_committed_results_are_of_the_sets_as_they_are() -> None:
    for name in committed.measured():
        configs, num_seeds, *_ = committed.SETS[name]
        found = {(row["config"], row["seed"]) for row in committed.rows_of(committed.RESULTS / name)}
        assert found == {(Path(config).stem, str(seed)) for config in configs for seed in range(num_seeds)}


def test_every_measured_config_stands_beside_a_published_number_or_says_that_there_is_none() -> None:
    measured = {config for one in committed.SETS.values() for config in one.configs}
    assert {f"configs/{name}.yaml" for name in published.PUBLISHED} == measured
    for config in measured:
        assert (PROJECT / config).is_file()
    for value, source, *_ in published.PUBLISHED.values():
        assert value is not None or source.startswith("none found")


@pytest.mark.parametrize(
    ("config", "values", "verdict"),
    [  # published: 99.05 by one run, 99.64 by 1,500
        ("mnist/lenet", [99.2, 99.3, 99.4], "beats by 0.25"),
        ("mnist/lenet", [99.17, 99.27, 99.37], "matches within noise"),
        ("mnist/lenet", [98.7, 98.8, 98.9], "short by 0.25"),
        ("mnist/vgg", [99.4, 99.5, 99.6], "short by 0.14"),
        ("mnist/vgg", [99.44, 99.54, 99.64], "matches within noise"),
        ("mnist/lenet", [99.3], "one seed"),
    ],
)
def test_a_difference_within_two_standard_errors_is_noise(config: str, values: list[float], verdict: str) -> None:
    one = published.Reached(config, "accuracy", values, 0.0, 1.0, 1, [], "a machine")
    assert published.verdict(one) == verdict


def test_losses_are_compared_by_their_ratio() -> None:
    one = published.Reached("memory/adding_gru", "loss", [0.0004, 0.0008], 0.0, 1.0, 1, [], "a machine")
    assert published.verdict(one) == "30 times higher"
