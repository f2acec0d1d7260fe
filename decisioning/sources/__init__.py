"""Where events, customers and contents come from besides the HTTP doors: files and Kafka."""
