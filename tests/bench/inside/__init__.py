"""What benches run in processes of the product, with its settings."""
