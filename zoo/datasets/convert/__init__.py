"""Labels of annotation tools become index masks that the kind ``folder`` reads.

A format is a module with ``read(root, settings)``, which gives pictures with regions or with masks
(`zoo.datasets.convert.model`); `zoo.datasets.convert.formats` lists them. What pixels a shape covers is said
in `zoo.datasets.convert.areas`, who has a pixel that several want in `painting`; `conversion` writes the
folder.
"""
