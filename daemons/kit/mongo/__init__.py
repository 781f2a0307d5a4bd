"""Databases of apps in a MongoDB: accounts, what may be asked of them, and how it is asked. For any daemon."""
