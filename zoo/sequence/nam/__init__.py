"""Amplifier models of Neural Amp Modeler (``.nam``): reader, network, and its streaming form."""
