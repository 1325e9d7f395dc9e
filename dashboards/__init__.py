"""What people look at: the built-in console and the Grafana boards. Holds no state that the topics do not hold."""
