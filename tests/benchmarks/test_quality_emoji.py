"""Sets of emoji: who is trained on where, and what is known of those held out."""

import io
import json
import tarfile

from PIL import Image

from benchmarks.quality.emoji_sets import GOOGLE, TWITTER, _grouped, _split, make_designs
from benchmarks.quality.layout import read_truth


def test_emoji_that_differ_in_sex_alone_stay_together():
    names = [
        "1F44B",
        "1F926",
        "1F926-200D-2642-FE0F",
        "1F468-200D-2695-FE0F",
        "1F469-200D-2695-FE0F",
    ]
    groups = _grouped(dict.fromkeys(names))
    assert sorted(groups) == [names[:1], names[3:], names[1:3]]
    first, second, rest = parts = _split(groups, (1, 1))
    assert sorted(first + second + rest) == sorted(names)
    assert all(any(set(group) <= set(part) for part in parts) for group in groups)


def test_designs_train_on_different_emoji_and_hold_out_both(tmp_path):
    names = [f"{i:x}" for i in range(10)]
    listed = [
        {"image": f"{n}.png", "category": c, "has_img_google": True, "has_img_twitter": True}
        for n, c in zip([*names, "flag"], ["Symbols"] * 10 + ["Flags"], strict=True)
    ]
    for package, design in ((GOOGLE, "google"), (TWITTER, "twitter")):
        with tarfile.open(tmp_path / f"{package}.tgz", "w:gz") as archive:
            for name in (*names, "flag"):
                picture = Image.new("RGBA", (64, 64))  # transparent, and so white
                picture.paste((200, 10 * len(design), 0, 255), (20, 20, 40, 40))
                _add(archive, f"package/img/{design}/64/{name}.png", _png(picture))
            _add(archive, "package/emoji.json", json.dumps(listed).encode())
    make_designs(tmp_path / "set", tmp_path, held_out=4)
    a, b, test, same = (
        {path.stem for path in (tmp_path / "set" / folder).iterdir()}
        for folder in ("trainA", "trainB", "testA", "testB")
    )
    assert test == same
    assert (len(a), len(b), len(test)) == (3, 3, 4)
    assert a | b | test == set(names)
    truth = read_truth(tmp_path / "set")
    assert truth.versions.shape == (4, 1, 3, 64, 64)
    assert truth.shapes.sum((1, 2)).tolist() == [400] * 4
    assert truth.x[0, :, 0, 0].tolist() == [1, 1, 1]
    assert truth.examples is None


def _png(picture):
    content = io.BytesIO()
    picture.save(content, "png")
    return content.getvalue()


def _add(archive, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
