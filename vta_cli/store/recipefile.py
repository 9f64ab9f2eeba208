"""The recipe of a space, written beside its shards so that a stranger can read it."""

import json

from vta_cli.records import Recipe
from vta_cli.store.layout import FORMAT, RECIPE_FILE, space_folder
from vta_cli.store.marker import newer_error
from vta_cli.store.medium import Medium


class DamagedRecipeError(Exception):
    """A space's `recipe.json` is not what vta wrote there."""


def write_recipe(medium: Medium, recipe: Recipe) -> None:
    """Write `recipe.json` unless it stands there; the content is the same whoever writes it."""
    path = f"{space_folder(recipe.space_name)}/{RECIPE_FILE}"
    body = {"format": FORMAT, "digest": recipe.digest, "recipe": recipe.to_json()}
    content = json.dumps(body, indent=1, sort_keys=True).encode()
    if medium.read(path) != content:
        medium.put(path, [content])


def read_recipe(medium: Medium, space: str) -> Recipe | None:
    """Return the recipe of a space, None if the folder has none.

    Raises
    ------
    DamagedRecipeError
        If the file is not readable or not the one of this space.
    StoreError
        ``store-newer`` if a newer vta wrote it.
    """
    content = medium.read(f"{space_folder(space)}/{RECIPE_FILE}")
    if content is None:
        return None
    try:
        body = json.loads(content)
        if body["format"] > FORMAT:
            raise newer_error(f"recipe of space {space}", body["format"])
        recipe = Recipe.from_json(body["recipe"])
        genuine = recipe.digest == body["digest"] and recipe.space_name == space
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedRecipeError(f"recipe of space {space} is not readable: {error}") from error
    if not genuine:
        raise DamagedRecipeError(f"recipe of space {space} is not the one it was made with")
    return recipe
