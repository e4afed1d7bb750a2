"""Jobs on many images: what there is to do, what is done of it, and who does it."""
