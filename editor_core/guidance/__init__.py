"""The guidance terms, the random views of the identity term, and the gradient of all of them."""
