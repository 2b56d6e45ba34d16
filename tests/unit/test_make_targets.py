"""P7's Makefiles: which of them look for the scripts in the folder where make is called."""

from __future__ import annotations

import pytest

from properties.make_targets import FROM_ROOT


@pytest.mark.parametrize(
    ("recipe", "from_root"),
    [
        ("\t@bash scripts/build-lambda.sh docker", True),
        ("\t./scripts/build-lambda.sh", True),
        ('\t"$(HERE)scripts/build-lambda.sh"', False),
        ("\t$(HERE)/scripts/build-lambda.sh", False),
        ("\t../scripts/build-lambda.sh", False),
        ("# scripts/build-lambda.sh does it", False),
    ],
)
def test_a_recipe_that_names_scripts_is_told_from_one_that_goes_by_its_place(
    recipe: str, from_root: bool
) -> None:
    assert (FROM_ROOT.search(f"build:\n{recipe}\n") is not None) is from_root
