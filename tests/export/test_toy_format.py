"""A format from outside: a zip of a Keras file and the metadata, used like those of the zoo."""

import zipfile

import keras
from support.tiny_export import SIZE, tiny

import zoo.models.loading
from zoo import export
from zoo.cli import main
from zoo.evaluation.scoring import evaluate
from zoo.export.core.artifact import Artifact, Port
from zoo.export.core.metadata import Metadata
from zoo.export.formats import Format, Shape, register
from zoo.export.proof.parity import synthetic_image


def write(deployment, path):
    deployment.network.save(beside := path.with_name("network.keras"))
    with zipfile.ZipFile(path, "w") as file:
        file.write(beside, "network.keras")
        file.writestr("metadata.json", deployment.metadata.to_json())


class ToyArtifact(Artifact):
    format = "toy"

    def __init__(self, path, *, threads):
        self.path = path
        with zipfile.ZipFile(path) as file:
            self.metadata = Metadata.from_json(file.read("metadata.json"), path=path)
            network = file.extract("network.keras", path.parent / "unpacked")
        self.network = keras.models.load_model(network, compile=False)
        self.inputs = (Port("image", self.network.input_shape, "float32"),)
        self.outputs = (Port("logits", self.network.output_shape, "float32"),)

    def operations(self):
        return {"layer": len(self.network.layers)}

    def _run(self, batch):
        return self.network(batch).numpy()


TOY = {"writer": f"{__name__}:write", "artifact": f"{__name__}:ToyArtifact"}


def test_toy_format(tmp_path, monkeypatch):
    model, path, image = tiny(), tmp_path / "m.toy", synthetic_image(*SIZE)
    with register(Format(name="toy", shape=Shape(title=".toy file", suffix=".toy"), **TOY)):
        assert export.to_format("toy", model, path).parity.passed
        assert export.verify(path, model).passed
        mask = export.open_artifact(path).predict(image)[0].argmax(-1)
        assert evaluate(path, [(image, mask)]).pixel_accuracy == 1
        monkeypatch.setattr(zoo.models.loading, "load", lambda *args, **options: model)
        assert main(["export", "tiny", "--format", "toy", "--output", str(path)]) == 0
        assert main(["verify", str(path), "--model", "tiny", "--weights", "none"]) == 0
