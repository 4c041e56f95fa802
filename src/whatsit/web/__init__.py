"""The web rim: the API, the page, and the front door that leads to both."""
