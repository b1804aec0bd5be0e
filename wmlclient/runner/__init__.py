"""The embedded service: what answers the v3 contract on this machine.

It is always a process of its own, ``python -m wmlclient.runner`` (also behind ``wmlclient serve``). Nothing in
here imports the facade.
"""
