"""A registered model in a form that other tools run: ONNX, LiteRT or SavedModel, compared with its original."""
