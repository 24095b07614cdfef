"""The nouns that flow through the package: transforms, regions, samples, predictions.

Numpy and torch only; nothing here reads configuration or files.
"""
