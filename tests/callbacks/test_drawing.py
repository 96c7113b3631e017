"""Figures are legible."""

import itertools

import numpy as np
from matplotlib.text import Annotation

from callbacks.drawing import in_colour, name_marks, panels, show_samples


def test_names_beside_marks_do_not_overlap() -> None:
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


def test_colour_samples_keep_their_colours() -> None:
    red_and_blue = np.array([[[[1.0, 0, 0]]], [[[0, 0, 1.0]]]])  # two samples of one pixel
    _, (axes,) = panels(2, 2)
    show_samples(axes, red_and_blue, columns=2)
    drawn = axes.images[0].get_array()
    assert drawn is not None
    assert drawn.tolist() == [[[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 1]]]


def test_channels_are_scaled_separately() -> None:
    picture = np.array([[[-1.0, 5.0, 2.0], [1.0, 7.0, 2.0]]])  # normalised: values below 0 and above 1
    assert in_colour(picture).tolist() == [[[0, 0, 0, 1], [1, 1, 0, 1]]]


def test_ink_is_dark() -> None:
    stroke = np.array([[[0.0, 1.0]]])
    for is_ink, expected in ((True, [1, 0]), (False, [0, 1])):
        _, (axes,) = panels(2, 2)
        show_samples(axes, stroke, columns=1, is_ink=is_ink)
        image = axes.images[0]
        assert np.asarray(image.cmap(image.norm(stroke[0, 0])))[:, 0].round().tolist() == expected
