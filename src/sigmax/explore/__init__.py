"""The page to play with: what it shows, how it is made, who may open it."""
