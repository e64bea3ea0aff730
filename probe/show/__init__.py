"""Floor 2, views: a report becomes text. Siblings of net, they never import it."""
