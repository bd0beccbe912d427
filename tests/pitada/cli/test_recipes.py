"""Recipes and orders by recipe, as a shell sees them."""

import pytest

from tests.pitada.cli.conftest import Run, data, refused


def test_save_list_show_order_and_delete(pitada: Run) -> None:
    data(pitada("devices", "claim", "kitchen", "1=Sea salt:500:8000", "2=Cumin:100", "--json"))
    saved = data(pitada("recipes", "save", "Rub", "Sea salt=6", "cumin=3.5g", "--json"))
    assert (saved["name"], saved["version"], saved["total_mg"]) == ("Rub", 1, 9_500)
    assert (
        "version 2: 8 g Sea salt, 2 g cumin; 10 g in all"
        in pitada("recipes", "save", "rub", "Sea salt=8", "cumin=2").stdout
    )
    assert data(pitada("recipes", "show", "RUB", "--json"))["items"] == [
        {"ingredient": "Sea salt", "amount_mg": 8_000},
        {"ingredient": "cumin", "amount_mg": 2_000},
    ]
    assert [one["name"] for one in data(pitada("recipes", "list", "--json"))] == ["Rub"]
    assert "Sea salt, cumin" in pitada("recipes", "list").stdout
    job = data(pitada("order", "kitchen", "--recipe", "rub", "--scale", "2.5", "--json"))
    assert [(item["flask"], item["target_mg"]) for item in job["items"]] == [(1, 20_000), (2, 5_000)]
    assert (job["recipe"], job["recipe_version"], job["recipe_scale_milli"]) == ("Rub", 2, 2_500)
    said = pitada("order", "kitchen", "--recipe", "rub", "--total", "50g").stdout
    assert "Rub (version 2), 50 g: 40 g Sea salt (flask 1), 10 g Cumin (flask 2)." in said
    assert "Made from Rub (version 2), 2.5 times." in pitada("job", job["job"]).stdout
    assert "version 2" in refused(pitada("recipes", "delete", "rub", "--version", "1"))
    assert data(pitada("recipes", "delete", "rub", "--json")) == {"name": "Rub", "deleted": True}
    assert data(pitada("recipes", "list", "--json")) == []
    assert "no recipe 'rub'" in refused(pitada("order", "kitchen", "--recipe", "rub"))
    assert data(pitada("audit", "--json"))["divergences"] == 0


def test_what_cannot_be_made_is_one_sentence(pitada: Run) -> None:
    data(pitada("devices", "claim", "kitchen", "1=Salt:5", "2=Salt:3", "--json"))
    data(pitada("recipes", "save", "Brine", "salt=6", "--json"))
    data(pitada("recipes", "save", "Syrup", "sugar=6", "--json"))
    assert "No flask of kitchen holds sugar" in refused(pitada("order", "kitchen", "--recipe", "Syrup"))
    assert "flask 1 has 5 g and flask 2 has 3 g available" in refused(
        pitada("order", "kitchen", "--recipe", "Brine", "--scale", "2")
    )
    assert "twice" in refused(pitada("recipes", "save", "Odd", "salt=1", "SALT=2"))
    assert "no recipe 'Nothing'" in refused(pitada("recipes", "show", "Nothing"))
    assert "no recipe 'Nothing'" in refused(pitada("recipes", "save", "Nothing", "salt=1", "--version", "3"))


@pytest.mark.parametrize(
    "command",
    [
        ("order", "kitchen"),
        ("order", "kitchen", "1=5", "--recipe", "Rub"),
        ("order", "kitchen", "1=5", "--scale", "2"),
        ("order", "kitchen", "--recipe", "Rub", "--scale", "2", "--total", "5g"),
        ("order", "kitchen", "--recipe", "Rub", "--scale", "two"),
        ("order", "kitchen", "--recipe", "Rub", "--scale", "5g"),
        ("order", "kitchen", "--recipe", "Rub", "--total", "much"),
        ("recipes", "save", "Rub"),
        ("recipes", "save", "Rub", "salt"),
        ("recipes", "save", "Rub", "=5"),
    ],
)
def test_misuse_is_exit_code_2(pitada: Run, command: tuple[str, ...]) -> None:
    refused(pitada(*command), 2)
