"""What an installed package must bring besides code."""

import tomllib

from model.data.recipe import CONFIGS, read_recipe


def test_the_texts_of_our_own_are_installed_with_the_recipes() -> None:
    root = CONFIGS.parents[1]
    globs = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    installed = {path for glob in globs["model"] for path in CONFIGS.parent.glob(glob)}
    recipes = [read_recipe(path) for path in CONFIGS.glob("*.toml")]
    ours = {CONFIGS / str(one.train) for recipe in recipes for one in recipe.sources if one.own}
    assert ours
    assert ours <= installed
