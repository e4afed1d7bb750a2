"""`zoo.training.Recipe`: what it holds, how it is written and read, and what it refuses."""

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace

import pytest
import yaml

import zoo
from zoo.datasets import Augmentation
from zoo.errors import InputError
from zoo.training import Recipe
from zoo.training.recipe import flat
from zoo.training.recipe_files import LARGEST

# No setting has its usual value.
OTHER = Recipe(
    epochs=7,
    batch_size=4,
    crop=(65, 97),
    augmentation=Augmentation(
        scale=(0.75, 1.5),
        flip=False,
        brightness=0.1,
        contrast=0.2,
        saturation=0.3,
        hue=0.0,
        gamma=0.5,
        gain=0.1,
        shadow=0.4,
        blur=1.5,
        noise=0.05,
        rare=0.25,
        paste=0.35,
    ),
    loss={"cross-entropy": 1.0, "lovasz": 0.5},
    label_smoothing=0.1,
    border_weight=2.0,
    region_every=3,
    balance=True,
    auxiliary=True,
    learning_rate=1e-5,
    schedule="cosine",
    warmup=0.5,
    weight_decay=1e-4,
    backbone_factor=0.1,
    average=0.99,
    freeze=("backbone.stem", "batch_norm"),
    batch_statistics="never",
    clip_norm=5.0,
    accumulate=2,
    validate_every=3,
    patience=4,
    precision="bfloat16",
    seed=11,
)


def test_the_example_changes_everything():
    usual = Recipe()
    for part, other in ((usual, OTHER), (usual.augmentation, OTHER.augmentation)):
        for field in fields(part):
            if field.name == "focus":  # goes with no smoothing
                continue
            assert getattr(part, field.name) != getattr(other, field.name), field.name


@pytest.mark.parametrize("recipe", [Recipe(), OTHER], ids=["usual", "other"])
@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_files_give_the_recipe_back(tmp_path, recipe, suffix):
    path = recipe.save(tmp_path / f"recipe{suffix}")
    assert Recipe.read(path) == recipe
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert list(tmp_path.iterdir()) == [path]
    load = json.loads if suffix == ".json" else yaml.safe_load
    assert load(path.read_text(encoding="utf-8")) == recipe.to_dict()


def test_what_a_file_leaves_out_is_usual(tmp_path):
    (tmp_path / "short.yaml").write_text(
        "# by hand\nepochs: 3\nlearning_rate: 1e-3\nweight_decay: 2.5E-4\ncrop: [33, 65]\n"
        "loss: {ohem: 1}\naugmentation: {scale: [1, 2], flip: no}\naverage: null\n"
    )
    augmentation = Augmentation(scale=(1.0, 2.0), flip=False)
    values = {"epochs": 3, "learning_rate": 1e-3, "weight_decay": 2.5e-4, "crop": (33, 65)}
    assert Recipe.read(tmp_path / "short.yaml") == Recipe(
        **values, loss={"ohem": 1.0}, augmentation=augmentation
    )


def test_whole_numbers_are_numbers():
    """So that a recipe from a file and one from the command line are told apart by no decimal point."""
    given = Recipe.from_dict({"learning_rate": 1, "augmentation": {"scale": [1, 2], "hue": 0}})
    assert json.dumps(flat(given)).count("1.0") >= 2
    assert flat(given) == flat(
        Recipe(learning_rate=1.0, augmentation=Augmentation(scale=(1.0, 2.0), hue=0.0))
    )


def test_a_recipe_is_frozen():
    with pytest.raises(FrozenInstanceError):
        OTHER.epochs = 2
    with pytest.raises(TypeError):
        OTHER.loss["dice"] = 1.0
    assert hash(OTHER) == hash(replace(OTHER))
    assert copy.deepcopy(OTHER) == pickle.loads(pickle.dumps(OTHER)) == OTHER


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more, not 0"),
        ({"epochs": 1.5}, "epochs must be an integer of 1 or more, not 1.5"),
        ({"batch_size": True}, "batch_size must be an integer of 1 or more, not True"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"patience": "3"}, "patience must be an integer of 1 or more, not '3'"),
        ({"crop": (321,)}, "crop must be a height and a width of 1 or more, not"),
        ({"crop": "321"}, "crop must be a height and a width"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, not nan"),
        ({"learning_rate": "1e-3"}, "learning_rate must be a number above 0, not '1e-3'"),
        ({"learning_rate": 10**400}, "learning_rate must be a number above 0 and below 1e+30, not 1000"),
        ({"epochs": 10**400}, "epochs must be at most 2147483647, not 1000"),
        ({"seed": 2**32}, "seed must be at most 4294967295, not 4294967296"),
        ({"average": 1}, "average must be a number above 0 and below 1, or none, not 1"),
        ({"label_smoothing": 1.0}, "label_smoothing must be a number 0 or more and below 1, not 1.0"),
        ({"clip_norm": 0}, "clip_norm must be a number above 0, or none, not 0"),
        ({"balance": 1}, "balance must be true or false, not 1"),
        ({"schedule": "step"}, "schedule must be one of poly, cosine, not 'step'"),
        ({"schedule": ["poly"]}, "schedule must be one of poly, cosine"),
        ({"precision": "int4"}, "float32, float16, bfloat16, not 'int4'"),
        ({"precision": []}, "precision must be a name such as float32, not []"),
        ({"freeze": "backbone"}, "freeze must be a list of names of parts, not 'backbone'"),
        ({"loss": {}}, "loss must give the weights of some of cross-entropy, ohem, dice, lovasz, not"),
        ({"loss": {"focal": 1.0}}, "cross-entropy, ohem, dice, lovasz, not {'focal': 1.0}"),
        ({"loss": {"dice": "much"}}, "dice of loss must be a number 0 or more, not 'much'"),
        ({"loss": {"dice": 1.0}, "balance": True}, "balance and label_smoothing belong to cross-entropy"),
        ({"region_every": 2}, "region_every belongs to dice and lovasz"),
        ({"augmentation": {"flips": True}}, "augmentation has no 'flips'; allowed are scale, flip, bright"),
        ({"augmentation": {"flip": 1}}, "flip of augmentation must be true or false, not 1"),
        ({"augmentation": {"hue": "red"}}, "hue lies between 0 and 0.5, not 'red'"),
        ({"augmentation": {"scale": ["a", 2]}}, "scale is"),
        ({"augmentation": None}, "augmentation must be keys with values, not None"),
        ({"epoch": 3}, "a recipe has no 'epoch'; allowed are epochs, batch_size, crop"),
        ({3: 3}, "a recipe has no 3; allowed are epochs"),
    ],
)
def test_what_is_no_recipe(changes, message):
    with pytest.raises(InputError) as error:
        Recipe.from_dict(changes)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "epochs = 3", "a recipe is a file *.json, *.yaml, *.yml, not"),
        ("a.json", "{", "is no JSON document"),
        ("a.json", "[" * 9000, "is no JSON document"),
        ("a.json", "[1]", "a recipe must be keys with values, not [1]"),
        ("a.json", '{"epoch": 1}', "a.json: a recipe has no 'epoch'"),
        ("a.yaml", "epochs: [", "is no YAML document"),
        ("a.yaml", "epochs: " + "[" * 9000, "is no YAML document"),
        ("a.yaml", "epochs: !!python/object/apply:os.getcwd []", "is no YAML document"),
        ("a.yaml", "", "a recipe must be keys with values, not None"),
        ("a.yaml", "# " + "x" * LARGEST, "too large for a recipe"),
        ("a.yaml", b"\xff\xfe\x00", "is no YAML document"),
        ("a.yaml", "epochs: 2000-99-99", "is no YAML document"),
        ("a.yaml", "epochs: 0x" + "f" * 9000, "a.yaml: Exceeds the limit"),
        ("a.yaml", "augmentation: {hue: 0x" + "f" * 9000 + "}", "a.yaml: Exceeds the limit"),
    ],
)
def test_files_that_hold_none(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as error:
        Recipe.read(path)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "place",
    ["{}", "augmentation: {{hue: {}}}", "augmentation: {{scale: {}}}", "loss: {{dice: {}}}"]
    + [f"{name}: {{}}" for name in Recipe().to_dict()],
)
def test_aliases_cannot_fill_the_memory(tmp_path, place):
    """Ten references to ten references and so on: small as it is read, endless if it were written out."""
    bomb = "&a0 [x, x]"
    for level in range(1, 30):
        bomb = f"&a{level} [{bomb}{f', *a{level - 1}' * 9}]"
    (tmp_path / "bomb.yaml").write_text(place.format(bomb))
    with pytest.raises(InputError) as error:
        Recipe.read(tmp_path / "bomb.yaml")
    assert len(str(error.value)) < 1000


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.json: No such file"):
        Recipe.read(tmp_path / "none.json")


def test_steps_of_an_epoch():
    assert Recipe(batch_size=4).steps_per_epoch(41) == 10
    assert Recipe(batch_size=4, accumulate=3).steps_per_epoch(41) == 3
    assert Recipe(batch_size=4, accumulate=3).steps_per_epoch(5) == 1
    with pytest.raises(InputError, match="a batch no larger than the data: 4 is more than 3 images"):
        Recipe(batch_size=4).steps_per_epoch(3)


def test_recipes_need_no_tensorflow():
    program = (
        "import sys, zoo.training; zoo.training.Recipe(); import zoo; zoo.Recipe;"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_public_names():
    assert zoo.Recipe is Recipe
    assert zoo.train is zoo.training.train
    assert all(getattr(zoo.training, name) is not None for name in zoo.training.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Trainer'"):
        _ = zoo.training.Trainer
