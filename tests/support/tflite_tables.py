"""Reads TFLite Metadata as the readers of the format do."""

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


class Table:
    """A flatbuffer table by the slots of its schema, as a C++ reader would see it."""

    def __init__(self, buffer, position=None):
        root = flatbuffers.encode.Get(flatbuffers.packer.uoffset, buffer, 0)
        self.table = flatbuffers.table.Table(buffer, root if position is None else position)

    def _place(self, slot):
        return self.table.Offset(4 + 2 * slot)

    def text(self, slot):
        place = self._place(slot)
        return self.table.String(place + self.table.Pos).decode() if place else None

    def number(self, slot, flags):
        return self.table.Get(flags, self._place(slot) + self.table.Pos)

    def child(self, slot):
        return Table(self.table.Bytes, self.table.Indirect(self._place(slot) + self.table.Pos))

    def children(self, slot):
        place = self._place(slot)
        start = self.table.Vector(place)
        items = range(self.table.VectorLen(place))
        return [Table(self.table.Bytes, self.table.Indirect(start + 4 * i)) for i in items]

    def array(self, slot, flags):
        return self.table.GetVectorAsNumpy(flags, self._place(slot))


def metadata_of(path):
    """The metadata buffer, found and checked as the readers of the format do."""
    model = schema.Model.GetRootAs(path.read_bytes())
    entries = {model.Metadata(i).Name(): model.Metadata(i).Buffer() for i in range(model.MetadataLength())}
    buffer = model.Buffers(entries[b"TFLITE_METADATA"])
    assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0
    content = buffer.DataAsNumpy().tobytes()
    assert content[4:8] == b"M001"
    return Table(content)
