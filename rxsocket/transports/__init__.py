"""How bytes move. A transport is a function from a request to a cold Observable (see ``base``)."""
