"""The spine: documents are scored, then counted into buckets. Decides nothing about what is alarming."""
