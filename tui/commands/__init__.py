"""The commands `infersent-tui NAME`, grouped into modules."""
