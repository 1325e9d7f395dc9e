from model.nested import Change, changes, flat


def test_keys_are_paths_and_named_elements_go_by_their_names() -> None:
    record = {"a": {"b": 1}, "sources": [{"name": "posts", "head": "topic"}], "losses": [0.5, 0.4]}
    assert flat(record) == {
        "a.b": 1,
        "sources.posts.name": "posts",
        "sources.posts.head": "topic",
        "losses.0": 0.5,
        "losses.1": 0.4,
    }


def test_elements_that_share_a_name_go_by_number() -> None:
    same = [{"name": "bge", "seed": 1}, {"name": "bge", "seed": 2}]
    assert flat(same) == {"0.name": "bge", "0.seed": 1, "1.name": "bge", "1.seed": 2}
    assert changes(same, [same[1], same[0]]) != []
    assert flat([{"name": "a"}, {"b": 1}, 2]) == {"0.name": "a", "1.b": 1, "2": 2}


def test_changes_are_those_alone_with_what_is_lacking() -> None:
    found = changes({"same": 1, "a": {"b": 1}, "gone": 2}, {"same": 1, "a": {"b": 3}, "new": "x"})
    assert found == [Change("a.b", 1, 3), Change("gone", 2, None), Change("new", None, "x")]
    assert [str(change) for change in found] == ["a.b: 1 -> 3", "gone: 2 -> nothing", "new: nothing -> x"]


def test_equal_records_do_not_differ() -> None:
    assert changes({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) == []
