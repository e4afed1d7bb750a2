"""Parts that all export formats share: metadata, deployment, calibration, staging."""
