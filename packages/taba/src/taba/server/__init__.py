"""The server: takes events over HTTP, folds them into the store, and answers questions about them."""
