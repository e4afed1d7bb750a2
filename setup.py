"""Installs the three top-level folders as one package: ``zoo``, ``zoo.weights`` and ``zoo.export``."""

from setuptools import find_packages, setup


def packages() -> list[str]:
    """Packages by the name they are imported under."""
    top = find_packages(include=["zoo", "zoo.*"])
    mapped = ["weights", "export"]
    below = find_packages(include=[f"{name}.*" for name in mapped])
    return top + [f"zoo.{name}" for name in mapped + below]


setup(
    packages=packages(),
    include_package_data=False,  # what is named here, and nothing else
    package_data={
        "zoo": ["py.typed"],
        "zoo.demo": ["runtimes.json", "static/*"],
        "zoo.weights": ["bundled/*.npz"],
        "zoo.export": ["lint/tables/*.json"],
    },
    package_dir={"zoo": "zoo", "zoo.weights": "weights", "zoo.export": "export"},
)
