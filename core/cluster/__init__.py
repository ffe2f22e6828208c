"""Cluster: corpora larger than one machine. It needs the extra `cluster`, and is imported only when asked for."""
