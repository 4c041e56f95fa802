"""How far the pictures of today are from those that a model was measured on."""
