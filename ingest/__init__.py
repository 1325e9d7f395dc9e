"""Crawl, replay and publish: text from the web and from archives into the `documents` topic."""
