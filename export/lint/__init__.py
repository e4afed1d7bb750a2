"""Which accelerator takes a file whole, by tables of public sources; loads no TensorFlow."""
