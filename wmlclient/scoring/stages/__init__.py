"""The stages that are scored natively, one module for a family; :mod:`wmlclient.scoring.registry` finds them."""
