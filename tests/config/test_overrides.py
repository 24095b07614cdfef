import pytest

from sleap_nn.config.overrides import apply_overrides, merged, parse_value, split_override
from sleap_nn.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-2", -2),
        ("5e-4", 5e-4),
        ("1.5", 1.5),
        ("null", None),
        ("true", True),
        ("False", False),
        ("", ""),
        ("abc", "abc"),
        ("a b  c", "a b  c"),
        ("a=b", "a=b"),
        ("a=b=c", "a=b=c"),
        ("~/data/x.slp", "~/data/x.slp"),
        ("/data/été/x y.slp", "/data/été/x y.slp"),
        ("日本語", "日本語"),
        ("😀", "😀"),
        (r"C:\data\x.slp", r"C:\data\x.slp"),
        (r"C:\my dir\(1).slp", r"C:\my dir\(1).slp"),
        (r"\\server\share\x.slp", r"\\server\share\x.slp"),
        ("run(1).slp", "run(1).slp"),
        ("it's", "it's"),
        ("%d-{x}", "%d-{x}"),
        ("a{b}c", "a{b}c"),
        ("#1", "#1"),
        ("http://x.y/z?q=1&r=2", "http://x.y/z?q=1&r=2"),
        ("${a.b}", "${a.b}"),
        ("${oc.env:HOME}/x", "${oc.env:HOME}/x"),
        ("'quoted, text'", "quoted, text"),
        ('"1"', "1"),
        ("[]", []),
        ("{}", {}),
        ("[a,b]", ["a", "b"]),
        ("[a.slp, b c.slp]", ["a.slp", "b c.slp"]),
        ("[1,2.5,null,true]", [1, 2.5, None, True]),
        ("[~/é.slp,b=c.slp]", ["~/é.slp", "b=c.slp"]),
        (r"[C:\a\x.slp,D:\b]", [r"C:\a\x.slp", r"D:\b"]),
        ("['a,b',c]", ["a,b", "c"]),
        ("[[a,b],[c,d]]", [["a", "b"], ["c", "d"]]),
        ("{a: 1, b: {c: x}}", {"a": 1, "b": {"c": "x"}}),
    ],
)
def test_values(text, value):
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", "007"),
        ("2024_01_01", "2024_01_01"),
        ("true", "true"),
        ("1e5", "1e5"),
        ("hello, world", "hello, world"),
        ("null", None),
        ("'null'", "null"),
        ("'007'", "007"),
        ("a", "a"),
    ],
)
def test_values_of_options_that_hold_text_stay_as_they_are(text, value):
    assert parse_value(text, is_text=True) == value


@pytest.mark.parametrize("text", ["[a", "[a,b", "{a:1", "{a}", "[é,]", "[[é]", "[é,'b']"])
def test_broken_lists_and_mappings_are_refused(text):
    with pytest.raises(ConfigError, match=r"Cannot read .*; a list is written \[a,b\]"):
        parse_value(text)


@pytest.mark.parametrize("text", ["1,2", "a.slp,b.slp", "range(1,3)", "choice(a,b)"])
def test_several_values_are_refused(text):
    with pytest.raises(ConfigError, match=r"several values; write a list as \[a,b\]"):
        parse_value(text)


@pytest.mark.parametrize(
    ("token", "key", "text", "deletes"),
    [
        ("a.b=1", "a.b", "1", False),
        ("+a=1", "a", "1", False),
        ("++a=1", "a", "1", False),
        ("a=", "a", "", False),
        ("a= b = c", "a", " b = c", False),
        ("a=x\ny", "a", "x\ny", False),
        ("~a.b", "a.b", None, True),
        ("~a=1", "a", "1", True),
        ("a/b@c=d", "a/b@c", "d", False),
    ],
)
def test_tokens(token, key, text, deletes):
    override = split_override(token)
    assert (override.key, override.text, override.deletes) == (key, text, deletes)


@pytest.mark.parametrize("token", ["hello", "", "+a", "=1", "a b=1", "+~a=1", "config.yaml"])
def test_tokens_of_another_form_are_refused(token):
    with pytest.raises(ConfigError, match="is not of the form key=value"):
        split_override(token)


def applied(tree, *tokens):
    return apply_overrides(tree, [split_override(token) for token in tokens], is_text=lambda path: path == "name")


@pytest.mark.parametrize(
    ("tokens", "result"),
    [
        ([], {"a": {"x": 1, "y": 2}}),
        (["a.x=3"], {"a": {"x": 3, "y": 2}}),
        (["+a.z=3", "++b.c=4"], {"a": {"x": 1, "y": 2, "z": 3}, "b": {"c": 4}}),
        (["a.x=3", "a.x=4"], {"a": {"x": 4, "y": 2}}),
        (["a={x: 5}"], {"a": {"x": 5, "y": 2}}),
        (["a=null"], {"a": None}),
        (["a=null", "a.z=1"], {"a": {"x": 1, "y": 2, "z": 1}}),
        (["~a.x"], {"a": {"y": 2}}),
        (["~a"], {}),
        (["~a.q"], {"a": {"x": 1, "y": 2}}),
        (["~a.x=1"], {"a": {"y": 2}}),
        (["a.x=3", "~a.x"], {"a": {"y": 2}}),
        (["~a.x", "a.x=3"], {"a": {"x": 3, "y": 2}}),
        (["a.x.deep=3"], {"a": {"x": {"deep": 3}, "y": 2}}),
        (["name=1_0"], {"a": {"x": 1, "y": 2}, "name": "1_0"}),
        (["a.x=1_0"], {"a": {"x": 10, "y": 2}}),
    ],
)
def test_application(tokens, result):
    tree = {"a": {"x": 1, "y": 2}}
    assert applied(tree, *tokens) == result
    assert tree == {"a": {"x": 1, "y": 2}}


def test_deleting_another_value_is_refused():
    with pytest.raises(ConfigError, match=r"'~a\.x=2' removes nothing"):
        applied({"a": {"x": 1}}, "~a.x=2")


def test_aliases_in_overrides_win_over_the_file():
    tree = {"trainer_config": {"train_data_loader": {"batch_size": 4}, "wandb": {"project": "a"}}}
    loaders = {"train_data_loader": {"batch_size": 8}, "val_data_loader": {"batch_size": 8}}
    result = applied(tree, "trainer_config.batch_size=8", "trainer_config.wandb_config.project=b")
    assert result == {"trainer_config": {**loaders, "wandb": {"project": "b"}}}
    assert applied(tree, "~trainer_config.wandb_config.project")["trainer_config"]["wandb"] == {}


def test_an_alias_and_its_key_may_not_contradict_each_other():
    with pytest.raises(ConfigError, match="different values"):
        applied({}, "trainer_config.batch_size=8", "trainer_config.train_data_loader.batch_size=4")


def test_merging_replaces_lists_and_merges_mappings():
    assert merged({"a": [1], "b": {"c": 1}}, {"a": [2], "b": {"d": 2}}) == {"a": [2], "b": {"c": 1, "d": 2}}
