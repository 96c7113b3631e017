"""docs/inside.md shows the committed tables, and the commands that made its pictures."""

from benchmarks import committed, inside_page


def test_tables_and_commands_are_those_of_the_comparisons() -> None:
    text = inside_page.PAGE.read_text(encoding="utf-8")
    assert committed.with_tables(text, inside_page.tables()) == text
    for name, arguments in inside_page.COMPARISONS.items():
        assert text.count(f"<!-- results: {name} -->") == 1
        assert f"compare.py {arguments}\n" in text
