"""The IPython extension: ``%compete``, ``%%compete_profile``, ``%compete_scaling``."""
