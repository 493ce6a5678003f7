from painted import known_points, painted_weights, painted_zoo

__all__ = ["known_points", "painted_weights", "painted_zoo"]
