"""Core ML Tools' conversion of a SavedModel: ``python core_ml.py FOLDER HEIGHT WIDTH``.

Prints the number of operations of the program. Running it takes a Mac.
"""

import sys

import coremltools

folder, height, width = sys.argv[1:]
# A resize needs a stated size, also where the SavedModel takes any.
image = coremltools.TensorType(name="image", shape=(1, int(height), int(width), 3))
model = coremltools.convert(folder, source="tensorflow", convert_to="mlprogram", inputs=[image])
functions = model.get_spec().mlProgram.functions.values()
blocks = [block for function in functions for block in function.block_specializations.values()]
print(sum(len(block.operations) for block in blocks))
