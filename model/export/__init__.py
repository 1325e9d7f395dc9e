"""From runs, or a published model, to a bundle: ONNX, int8, calibrated, measured, hashed. Needs the extra `train`."""
