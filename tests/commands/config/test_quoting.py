from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from munit_pl.commands.config.quoting import quoted

parse = OverridesParser.create().parse_override
TEXTS = [
    "/home/jörg/bilder",
    "my photos (1)",
    "epoch=0-step=6.ckpt",
    "日本/写真 😀",
    "photos [old] {a}",
    "it's",
    "a \"b\" 'c'",
    "a~b&c;d!e#f",
    "/data/cats,dogs",
    "back\\slash ü'\\",
    "[a]/b",
    "a\\'b",
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_path_is_taken_as_it_was_typed(text):
    assert parse(quoted(f"data.root={text}")).value() == text
    assert quoted(quoted(f"data.root={text}")) == quoted(f"data.root={text}")


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.text(st.sampled_from("aäß日 ()[]{}=,'\"~&;!#\\/.:-")))
def test_any_text_below_a_folder_is_taken_as_it_was_typed(text):
    assert parse(quoted(f"data.root=/ü{text}")).value() == f"/ü{text}"


@pytest.mark.parametrize(
    "key", ["run", "name", "data.root", "data.train", "data.train_a", "data.lists.test_b"]
)
@pytest.mark.parametrize("text", ["2026_11_29", "1.50", "1e5", "true"])
def test_names_that_read_as_numbers_stay_names(key, text):
    assert parse(quoted(f"{key}={text}")).value() == text


def test_names_of_a_sweep_that_read_as_numbers_stay_names():
    assert quoted("data.root=2024,b,1_0", sweeping=True) == "data.root='2024',b,'1_0'"
    assert quoted("seed=1,2", sweeping=True) == "seed=1,2"
    assert quoted("name=choice(1,2)", sweeping=True) == "name=choice(1,2)"


def test_a_folder_called_null_can_be_named(tmp_path, monkeypatch):
    assert quoted("data.root=null") == "data.root=null"
    monkeypatch.chdir(tmp_path)
    Path("null").mkdir()
    assert quoted("data.root=null") == "data.root='null'"


def test_what_the_grammar_takes_stays_what_it_is():
    for setting in (
        "seed=3",
        "model.optimizer.lr=1e-4",
        "data.crop=[64,64]",
        "data.lists={train_a: a.txt}",
        "seed=0,1,2",
        "~callbacks.bar",
        "+experiment=demo",
        "data.root='my photos'",
        "data.root=${oc.env:HOME}",
        "seed=range(0,3)",
        "ckpt_path=null",
        "data.crop=[64,64",
    ):
        assert quoted(setting, "range" in setting) in (setting, "data.crop='[64,64'")


def test_commas_part_the_values_of_a_sweep_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert quoted("data.root=/a,/ü", sweeping=True) == "data.root=/a,'/ü'"
    for lists in ("data.root=a,b", "data.size=[16,16]", "data.size=[16,16],[32,32]"):
        assert quoted(lists, sweeping=True) == lists
    Path("a,b").mkdir()
    assert quoted("data.root=a,b", sweeping=True) == quoted("data.root=a,b") == "data.root='a,b'"


def test_a_name_that_means_something_else_is_that_of_a_file_where_there_is_one(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("[a]", "{b: c}", "d "):
        Path(name).mkdir()
        assert parse(quoted(f"data.root={name}")).value() == name
    Path("3").mkdir()
    assert quoted("seed=3") == "seed=3"


def test_a_home_directory_is_found(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert quoted("data.root=~/photos") == "data.root=/home/ann/photos"
    assert quoted("data.root=~/my (old)") == "data.root='/home/ann/my (old)'"
