"""How the vendored data are made from their sources; one kind of source a module. `data/vendor.py` calls them."""
