"""Networks of spelling to sound as files, for letters and the phones so far."""
