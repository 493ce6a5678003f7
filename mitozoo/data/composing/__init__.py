"""Training fields composed of real parts: mitotic figures of patches placed into tissue that has none.

An ordinary nucleus is placed in the very same way for every mitotic figure, so that what a paste leaves behind tells
nothing.
"""
