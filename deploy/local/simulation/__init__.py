"""A made-up web with a crisis in it, for the real crawlers to crawl. Everything in it is invented."""
