"""Keys: values that actions need, most of them secret. Stored under the installation's encryption key."""
