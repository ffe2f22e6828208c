"""What lies on disk: files and folders that appear whole or not at all, the cache folder; and progress of slow work."""
