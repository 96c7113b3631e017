"""Our results next to published numbers: the pages show the committed rows, and a measurement runs what they need."""

import itertools
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from benchmarks import committed, report
from engine.paths import CONFIGS, PROJECT

SHOWN_BY_COMPARE = ("shallow_mlp", "deep_mlp", "resnet", "lstm")  # README.md shows the output of `make compare`


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of every comparison, none of which runs: their rows are the committed ones, at a given commit."""
    made: list[list[str]] = []

    def main(arguments: list[str]) -> int:
        made.append(arguments)
        folder = tmp_path / arguments[arguments.index("--runs_dir") - 1]
        (name,) = [name for name in report.SETS if folder.name == f"results_{name.replace('/', '_')}_abc1234"]
        shutil.copytree(committed.RESULTS / name, folder, dirs_exist_ok=True)
        return 0

    monkeypatch.setattr("compare.main", main)
    monkeypatch.setattr(committed, "clean_commit", lambda: "abc1234")
    monkeypatch.setattr(report, "RUNS", tmp_path)
    return made


def result(config: str, values: list[float], name: str = "test_acc") -> report.Result:
    return report.Result(config, pd.DataFrame({name: values, "seed": range(len(values))}), "a machine")


@pytest.mark.parametrize("page", [report.PAGE, PROJECT / "README.md"], ids=lambda path: path.name)
def test_tables_are_those_of_the_committed_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert committed.with_tables(text, report.tables(report.committed_results())) == text


def test_every_table_has_one_place() -> None:
    text = report.PAGE.read_text() + (PROJECT / "README.md").read_text()
    for name in report.tables(report.committed_results()):
        assert text.count(f"<!-- results: {name} -->\n\n|") == 1, name


def test_config_headers_are_those_of_the_committed_results() -> None:
    for one in report.committed_results():
        text = (CONFIGS / f"{one.config}.yaml").read_text(encoding="utf-8")
        assert report.with_header(text, one) == text


def test_output_of_compare_in_the_readme_is_committed() -> None:
    text = (PROJECT / "README.md").read_text()
    sets = [committed.rows(committed.RESULTS / name) for name in ("short_runs", "mnist")]
    rows = pd.concat(sets).query("seed == 0").set_index("config")
    for config, row in rows.loc[list(SHOWN_BY_COMPARE)].iterrows():
        (line,) = re.findall(rf"^    \| {config} .*$", text, re.MULTILINE)
        assert f"{100 * row.val_acc:.2f}%  | {100 * row.test_acc:.2f}%" in line


@pytest.mark.parametrize("name", report.SETS)
def test_committed_rows_are_those_of_the_set(name: str) -> None:
    if not (committed.RESULTS / name).is_dir():
        pytest.skip("it has no committed rows yet")
    one, rows = report.SETS[name], committed.rows(committed.RESULTS / name)
    flags = one.get("flags", "").split()
    parts = [[Path(config).name for config in one["configs"]]]
    for flag, option in itertools.pairwise(flags):
        if flag == "--vary":  # as data.test_speaker=theo,lucas
            varied, _, values = option.partition("=")
            parts.append([f"{varied.rpartition('.')[2]}={value}" for value in values.split(",")])
    names = itertools.product(*(parts[1:] if len(parts) > 1 and len(one["configs"]) == 1 else parts))
    wanted = set(itertools.product(map(",".join, names), range(one["seeds"])))
    assert set(zip(rows.config, rows.seed, strict=True)) == wanted
    assert not json.loads((committed.RESULTS / name / "environment.json").read_text())["dirty"]


def test_every_measured_config_has_a_published_entry() -> None:
    names = [*report.sets_of("full"), *report.sets_of("gpu")]
    assert set(report.PUBLISHED) == {config for name in names for config in report.SETS[name]["configs"]}
    for config, entry in report.PUBLISHED.items():
        assert (CONFIGS / f"{config}.yaml").is_file()
        assert entry["unit"] in ("%", "loss", "nats", "MSE")
        assert ("value" in entry) == ("source" in entry)


@pytest.mark.filterwarnings("ignore:Precision loss occurred")  # one of two configs gave the same value with every seed
def test_committed_differences_are_welch_intervals() -> None:
    for path in committed.RESULTS.rglob("differences.csv"):
        rows = committed.rows(path.parent)
        score = "test_acc" if rows.test_acc.notna().all() else "test_loss"
        scores = {config: own[score] for config, own in rows.groupby("config")}
        for pair in pd.read_csv(path).itertuples():
            first, second = scores[str(pair.first)], scores[str(pair.second)]
            if first.std() + second.std() < 1e-9:  # no spread, so no verdict
                assert pd.isna(pair.low)
                assert pd.isna(pair.is_significant)
                continue
            interval = stats.ttest_ind(second, first, equal_var=False).confidence_interval()
            assert (interval.low, interval.high) == pytest.approx((pair.low, pair.high), abs=1e-9)


def test_other_rows_give_other_tables() -> None:
    found = report.committed_results()
    table = report.tables(found)["published"]
    runs = found[0].runs
    changed = found[0]._replace(runs=runs.assign(test_acc=[0.1233, 0.1235] * (len(runs) // 2)))
    assert "12.34 ± 0.01 %" not in table
    table = report.tables([changed, *found[1:]])["published"]
    assert "| 12.34 ± 0.01 %" in table


@pytest.mark.parametrize(
    ("config", "values", "verdict"),
    [  # published: 99.05 by one run, 99.64 by the mean of 1,500
        ("mnist/lenet", [0.994, 0.9941, 0.9942], ("+0.36 ± 0.05", "yes")),
        ("mnist/lenet", [0.992, 0.993, 0.994], ("+0.25 ± 0.50", "no")),
        ("mnist/vgg", [0.9940, 0.9942, 0.9944], ("-0.22 ± 0.05", "yes")),
        ("mnist/vgg", [0.994, 0.995, 0.996], ("-0.14 ± 0.25", "no")),
    ],
)
def test_difference_is_significant_beyond_the_prediction_interval(
    config: str, values: list[float], verdict: tuple[str, str]
) -> None:
    published = report.PUBLISHED[config]
    assert result(config, values).difference(published["value"], published.get("runs", 1)) == verdict


def test_goal_is_met_by_the_mean() -> None:
    assert result("mnist/lenet", [0.99, 0.992]).goal() == "99.1 %: met"
    assert result("mnist/lenet", [0.99, 0.9918]).goal() == "99.1 %: **missed**"
    assert result("memory/adding_gru", [0.0005, 0.0015], "test_loss").goal() == "0.001: met"


@pytest.mark.parametrize("name", report.SETS)
def test_measurement_runs_every_config_with_its_seeds(
    name: str, calls: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.startswith(("gpu/", "inside/")):
        pytest.skip("gpu/ has no committed rows yet, and the pictures of inside/ are copied from its runs")
    monkeypatch.setattr(report, "RESULTS", tmp_path / "repository")
    seeds = [str(seed) for seed in range(report.SETS[name]["seeds"])]
    configs = [f"configs/{config}.yaml" for config in report.SETS[name]["configs"]]
    place = [f"results_{name.replace('/', '_')}_abc1234", "--runs_dir", str(tmp_path)]
    flags = report.SETS[name].get("flags", "").split()
    for typed in (["--name", *place, *configs, "--seeds", *seeds, *flags], ["resume", *place, "--seeds", *seeds]):
        report.measure(name)
        assert calls.pop() == typed
    for file in (committed.RESULTS / name).iterdir():
        assert (tmp_path / "repository" / name / file.name).read_bytes() == file.read_bytes()


def test_quick_measurement_is_compared_with_the_page(
    calls: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    report.main(["quick"])
    lines = capsys.readouterr().out
    assert re.search(r"\| mnist/linear +\| 92.5", lines)
    names = [arguments[arguments.index("--name") + 1] for arguments in calls]
    assert names == [f"results_{name}_abc1234" for name in report.SETS if "/" not in name]
    assert all(" --seeds 0" in " ".join(arguments) for arguments in calls)
    assert all(" --seeds 0 1" not in " ".join(arguments) for arguments in calls)


def test_failed_runs_and_the_subset_are_not_results(
    calls: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = committed.rows
    monkeypatch.setattr(committed, "rows", lambda folder: rows(folder).assign(data="MNIST-5k"))
    with pytest.raises(SystemExit, match="used the 5,000-digit subset of MNIST"):
        report.run("mnist", 3)
    monkeypatch.setattr("compare.main", lambda arguments: 1)
    with pytest.raises(SystemExit, match=r"not every run of .* finished"):
        report.run("mnist", 3)


def test_results_need_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comparison.environment.PROJECT", tmp_path)  # no repository
    with pytest.raises(SystemExit, match="commit the changes that `git status` lists"):
        committed.clean_commit()


def test_gpu_sets_need_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="gpu needs a CUDA GPU, and PyTorch finds none here"):
        report.main(["gpu"])


def test_score_of_a_varied_set_is_the_mean_over_its_values_per_seed() -> None:
    runs = pd.DataFrame({"seed": [0, 0, 1, 1], "test_acc": [0.5, 0.7, 0.6, 1.0]})
    one = report.Result("speech/new_speaker", runs, "a machine")
    assert one.scores.tolist() == pytest.approx([60.0, 80.0])
    assert one.shown == "70.00 ± 14.14 %"


def test_losses_that_are_not_tiny_are_compared_by_difference() -> None:
    row = report.row(one_seed_each("text/gru", [1.70, 1.71, 1.72]))
    assert row["test, mean ± sd"] == "1.710 ± 0.010 nats"
    assert row["difference"].startswith("-0.170 ± ")
    assert row["significant?"] == "yes"
    assert row["goal"] == "1.88 nats: met"


def one_seed_each(config: str, losses: list[float]) -> report.Result:
    seeds = range(len(losses))
    costs = {"parameters": 1000, "seconds": 1.0, "train_loss": 1.0}
    return report.Result(config, pd.DataFrame({"test_loss": losses, "seed": seeds, **costs}), "a machine")
