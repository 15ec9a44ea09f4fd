"""One module a published format; each reads its files into a `Catalogue`."""
