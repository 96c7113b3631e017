"""What figures owe their readers."""

import itertools

from matplotlib.text import Annotation

from drawing import name_marks, panels


def test_names_cover_no_line_and_no_other_name() -> None:
    figure, (axes,) = panels(8, 6)
    marks = {
        "a long name": (1.0, 1.0),
        "another name": (1.02, 1.0),
        "at the edge": (2.0, 1.0),
        "below": (1.0, 0.9),
        "high": (0.8, 1.49),
    }
    for x, y in marks.values():
        axes.errorbar(x, y, 0.2, fmt="o")
    axes.plot([1.3, 1.3], [0.5, 1.5])
    axes.set_xlim(0.5, 2.05)
    axes.set_ylim(0.5, 1.5)
    name_marks(figure, axes, marks)
    figure.draw_without_rendering()
    places = {text.get_text(): text.get_window_extent() for text in axes.texts if isinstance(text, Annotation)}
    assert places.keys() == marks.keys()
    for name, other in itertools.combinations(places, 2):
        assert not places[name].overlaps(places[other]), (name, other)
    for name, place in places.items():
        assert axes.bbox.count_contains(place.corners()) == 4, name
        for line in axes.lines:
            path = line.get_transform().transform_path(line.get_path())
            assert not path.intersects_bbox(place, filled=False), name
            assert not place.count_contains(path.vertices), name
