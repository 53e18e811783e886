"""Tailor's importable face: a few names, loaded when they are first used."""
