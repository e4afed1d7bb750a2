"""A web page that segments pictures and the camera in the browser, with models of the zoo."""
