"""What lies in a store, and in which chunks: tables and arithmetic, no file is opened."""
