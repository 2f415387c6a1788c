from fractions import Fraction

import pytest

from munit_pl.commands.options.translate import parse


def test_unless_told_otherwise_images_go_to_domain_b_as_png():
    options = parse(["last.ckpt", "photos"])
    assert (options.to, options.styles, options.seed, options.out) == ("b", None, 0, "translations")
    assert (options.format, options.quality, options.precision) == ("png", 95, "fp32")
    assert (options.batch_size, options.fps, options.resize) == (None, 12, None)


def test_inputs_may_stand_before_and_after_options():
    options = parse(["last.ckpt", "x", "--to", "a", "y"])
    assert options.inputs == ["x", "y"]


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--resize", "256"], "resize", 256),
        (["--resize", "256x192"], "resize", (256, 192)),
        (["--resize", "none"], "resize", "none"),
        (["--set", "3=-1.5", "--set", "0=2"], "set", [(3, -1.5), (0, 2.0)]),
        (["--sweep", "3=-2:2.5:9"], "sweep", (3, -2.0, 2.5, 9)),
        (["--fps", "29.97"], "fps", Fraction(2997, 100)),
        (["--fps", "30000/1001"], "fps", Fraction(30000, 1001)),
    ],
)
def test_values_are_read(arguments, name, value):
    assert getattr(parse(["last.ckpt", "photos", *arguments]), name) == value


def test_what_contradicts_itself_ends_with_status_2(capsys):
    for arguments, message in [
        ("--styles 2 --like x.png", "not allowed with argument"),
        ("--like x.png --reconstruct", "not allowed with argument"),
        ("--interpolate 3 --sweep 0=0:1:2", "not allowed with argument"),
        ("--mean", "--mean is the mean of examples: give --like"),
        ("--fresh --like x.png", "--fresh is about random styles"),
        ("--fresh --reconstruct", "--fresh is about random styles"),
        ("--reconstruct --set 0=1", "the inputs' own styles: leave out --set"),
        ("--styles 1 --interpolate 3", "from one style to another: choose two or more"),
        ("--like x.png --mean --interpolate 3", "from one style to another"),
        ("--styles 0", "0 is no whole number from 1 on"),
        ("--interpolate 1", "1 is no whole number from 2 on"),
        ("--tile 15", "15 is no whole number from 16 on"),
        ("--quality 101", "--quality is at most 100"),
        ("--resize 0", "0 is no side"),
        ("--resize 256,192", "and not none"),
        ("--set 3", "3 is not DIM=VALUE"),
        ("--set 3=nan", "3=nan is not DIM=VALUE"),
        ("--sweep 3=0:1:1", "is not DIM=LOW:HIGH:N"),
        ("--sweep 3=0:1", "is not DIM=LOW:HIGH:N"),
        ("--fps 0", "0 is no number of frames per second"),
        ("--fps 1/0", "1/0 is no number of frames per second"),
        ("--to c", "invalid choice"),
    ]:
        with pytest.raises(SystemExit) as stopped:
            parse(["last.ckpt", "photos", *arguments.split()])
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err
