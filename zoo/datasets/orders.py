"""Names of the orders in which training takes samples; `zoo.datasets.order` makes them."""

# Any sample at any place; or each place of a batch with samples of its own files.
SAMPLES, BY_FILE = "samples", "files"
ORDERS = (SAMPLES, BY_FILE)
