"""The commands of `tailor`, and what each does."""

from __future__ import annotations

COMMANDS = {
    "init": "Write a starter study file for your data and model.",
    "search": "Run a study, or resume it.",
    "check": "Dry run: resolve a study file, build its smallest and largest model, estimate.",
    "lr-range": "Find a learning rate: train while it rises, and see where the loss falls.",
    "studies": "List the shipped studies and those in the store.",
    "status": "Show a study's progress and its leaderboard.",
    "show": "Show one trial in full.",
    "compare": "Set trials side by side.",
    "reproduce": "Train a recorded trial again and compare its numbers.",
    "fsck": "Repair what a killed search left.",
    "rename": "Rename a study in every store.",
    "delete": "Delete a study, except for what a registered model needs.",
    "gc": "Remove what no study and no registered model needs.",
    "report": "Write a study's report, one page that opens offline.",
    "promote": "Choose a study's best model, judge it, and register it.",
    "models": "List the registered models.",
    "history": "Show who moved a model's champion, when and why.",
    "rollback": "Make the champion before the present one champion again.",
    "ensemble": "Combine a study's models into one, and register it.",
    "pull": "Fetch a registered model into a folder.",
    "export": "Write a registered model as ONNX, LiteRT or SavedModel.",
    "predict": "Classify images with a registered model.",
    "serve": "Answer requests with a registered model: a web server on this machine.",
    "ui": "Open MLflow's pages on the store.",
    "env": "Print what other tools need to find the store.",
    "completion": "Print what lets bash, zsh or fish complete commands.",
    "schema": "Print the JSON Schema of a study file.",
    "doctor": "Check the installation and say what to repair.",
}
