"""Figures are legible."""

import numpy as np

from callbacks.drawing import in_colour, line_styles, panels, plain_name, show_samples


def test_colour_samples_keep_their_colours() -> None:
    red_and_blue = np.array([[[[1.0, 0, 0]]], [[[0, 0, 1.0]]]])  # two samples of one pixel
    _, (axes,) = panels("", 2, 2)
    show_samples(axes, red_and_blue, columns=2)
    drawn = axes.images[0].get_array()
    assert drawn is not None
    assert drawn.tolist() == [[[1, 0, 0], [1, 1, 1], [0, 0, 1]]], "with a white gap"


def test_channels_are_scaled_separately() -> None:
    picture = np.array([[[-1.0, 5.0, 2.0], [1.0, 7.0, 2.0]]])  # normalised: values below 0 and above 1
    assert in_colour(picture).tolist() == [[[0, 0, 0], [1, 1, 0]]]


def test_ink_is_dark() -> None:
    stroke = np.array([[[0.0, 1.0]]])
    for is_ink, expected in ((True, [1, 0]), (False, [0, 1])):
        _, (axes,) = panels("", 2, 2)
        show_samples(axes, stroke, columns=1, is_ink=is_ink)
        image = axes.images[0]
        assert np.asarray(image.cmap(image.norm(stroke[0, 0])))[:, 0].round().tolist() == expected


def test_names_are_plain_words() -> None:
    assert plain_name("mnist_relu,num_layers=50") == "mnist_relu, 50 layers"
    assert plain_name("num_layers=1,lr=0.01") == "1 layer, lr 0.01"


def test_networks_that_differ_in_depth_share_a_colour() -> None:
    lines = {name: [0.0] for name in ("relu,num_layers=1", "relu,num_layers=50", "tanh,num_layers=1")}
    shallow, deep, other = line_styles(lines)
    assert shallow["color"] == deep["color"] != other["color"]
    assert shallow["linestyle"] == other["linestyle"] != deep["linestyle"]
    one, two = line_styles({"num_layers=1": [0.0], "num_layers=50": [0.0]})
    assert one["color"] != two["color"]
