"""The classifier: texts in, topic and sentiment out. Knows nothing of Kafka, windows or alerts."""
