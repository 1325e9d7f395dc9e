"""Every document is counted once, whatever dies: on a real broker that is killed too."""
