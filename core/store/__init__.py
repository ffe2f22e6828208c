"""Files on disk that appear complete or not at all, the cache folder, and the progress of slow work."""
